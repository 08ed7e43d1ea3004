// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import { answer, AT, frame, json, openStream, page, question, stageForEach, THREAD } from "./testing/conversation-stage";

const stage = stageForEach();

describe("a conversation", () => {
  it("is created by its first message, and passes events on", async () => {
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "client_effect", name: "tasks.changed", data: {} }));
      response.write(frame({ type: "thread.item.done", item: answer("a", "Hello") }));
      response.end(frame({ type: "run.completed" }, "run"));
    };
    await stage.say("q");
    await stage.settled();
    expect(stage.texts()).toEqual(["q", "Hello"]);
    expect(stage.events).toEqual(["thread null", "response", "thread thr", "effect tasks.changed", "end"]);
    expect(localStorage.length).toBe(0);
  });

  it("leaves a thread behind when another one is opened, whatever still comes of it", async () => {
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
    };
    let release: () => void = () => undefined;
    stage.endpoint.answers["threads.get_by_id"] = ({ params }, response) => {
      const id = String(params["thread_id"]);
      const respond = () => json(response, { ...THREAD, id, items: { data: [question("q"), answer("a", id)], has_more: false, after: null } });
      if (id === "slow") release = respond;
      else respond();
    };
    await stage.say("q");
    await stage.until(() => expect(stage.texts()).toEqual(["q"]));
    const slow = stage.conversation.open("slow");
    await stage.until(() => expect(stage.endpoint.types()).toContain("threads.get_by_id"));
    await stage.conversation.open("other");
    release();
    await slow;
    expect(stage.texts()).toEqual(["q", "other"]);
    expect(stage.state().activity).toBe("idle");
    expect(stage.conversation.threadId).toBe("other");
    // The thread that was left still has its run to come back to.
    expect(localStorage.getItem("threadkeep.chat.run.thr")).toBe("run1");
  });

  it("sends what is said while a thread is being loaded to that thread", async () => {
    let loads = 0;
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => {
      loads += 1;
      if (loads > 1) json(response, { ...THREAD, items: { data: [question("q"), answer("a", "Hello")], has_more: false, after: null } });
    };
    stage.endpoint.answers["threads.add_user_message"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: question("q2") }) + frame({ type: "thread.item.done", item: answer("a2", "Hello again") }));
    };
    const opened = stage.conversation.open("thr");
    await stage.until(() => expect(loads).toBe(1));
    await stage.say("q2");
    await stage.settled();
    await opened;
    expect(stage.endpoint.types()).not.toContain("threads.create");
    expect(stage.texts()).toEqual(["q", "Hello", "q2", "Hello again"]);
  });

  it("keeps a message that was refused, and sends it again", async () => {
    stage.endpoint.answers["threads.create"] = (_, response) => json(response, { code: "queue_full", detail: "Too many." }, 429, { "retry-after": "1" });
    await expect(stage.say("q")).rejects.toThrow("Too many.");
    expect(stage.state()).toMatchObject({ activity: "idle", failure: { message: "Too many.", allowRetry: true }, pending: { content: [{ text: "q" }] } });
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }) + frame({ type: "thread.item.done", item: answer("a", "Yes") }));
    };
    await stage.conversation.retry();
    await stage.settled();
    expect(stage.texts()).toEqual(["q", "Yes"]);
    expect(stage.state().pending).toBeNull();
  });

  it("stops a run by name, and shows what was kept", async () => {
    stage.endpoint.runs["run1"] = { id: "run1", status: "cancelled" };
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "One two three") }));
    };
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page([question("q"), answer("a", "One two")]));
    await stage.say("q");
    await stage.until(() => expect(stage.texts()).toEqual(["q", "One two three"]));
    await stage.conversation.stop();
    expect(stage.state().activity).toBe("stopping");
    await stage.settled();
    expect(stage.endpoint.cancelled).toEqual(["run1"]);
    expect(stage.texts()).toEqual(["q", "One two"]);
    expect(stage.state().failure).toBeNull();
  });

  it("makes one answer at a time, and takes what is not answered by a stream", async () => {
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
    };
    stage.endpoint.answers["threads.sync_custom_action"] = (_, response) => json(response, {});
    await stage.say("q");
    await stage.until(() => expect(stage.texts()).toEqual(["q"]));
    await expect(stage.say("q2")).rejects.toThrow("An answer is being made");
    await expect(stage.conversation.act({ type: "go" }, null, true)).rejects.toThrow("An answer is being made");
    await stage.conversation.act({ type: "look" }, null, false);
    expect(stage.endpoint.types()).toEqual(["threads.create", "threads.sync_custom_action"]);
    expect(stage.state()).toMatchObject({ activity: "streaming", runId: "run1", pending: null, failure: null });
    await stage.conversation.stop();
    expect(stage.endpoint.cancelled).toEqual(["run1"]);
  });

  it("offers a retry for an old question without an answer", async () => {
    const old = { ...question("q"), created_at: "2020-01-01T00:00:00Z" };
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page([old]) });
    stage.endpoint.answers["threads.retry_after_item"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: answer("a", "Now") }));
    };
    await stage.conversation.open("thr");
    expect(stage.state().failure?.allowRetry).toBe(true);
    await stage.conversation.retry();
    await stage.settled();
    expect(stage.texts()).toEqual(["q", "Now"]);
    expect(stage.endpoint.calls.at(-1)?.params).toEqual({ thread_id: "thr", item_id: "q" });
  });

  it("opens a long thread at its end and loads what is before", async () => {
    const items = ["q1", "a1", "q2", "a2"].map((id) => (id.startsWith("q") ? question(id) : answer(id, id)));
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: { data: items.slice(0, 2), has_more: true, after: "a1" } });
    stage.endpoint.answers["items.list"] = ({ params }, response) => json(response, params["after"] === undefined ? page(items.slice(2), true) : page(items.slice(0, 2)));
    await stage.conversation.open("thr");
    expect(stage.texts()).toEqual(["q2", "a2"]);
    await Promise.all([stage.conversation.loadOlder(), stage.conversation.loadOlder()]);
    expect(stage.texts()).toEqual(["q1", "a1", "q2", "a2"]);
    expect(stage.endpoint.calls.filter(({ params }) => params["after"] === "q2")).toHaveLength(1);
    expect(stage.state().olderAfter).toBeNull();
  });

  it("runs a tool of the page and sends its result", async () => {
    const call = { type: "client_tool_call", id: "tc", thread_id: "thr", created_at: AT, status: "pending", call_id: "c", name: "pick", arguments: {} };
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: call }));
    };
    stage.endpoint.answers["threads.add_client_tool_output"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: answer("a", "Picked") }));
    };
    await stage.say("q");
    await stage.until(() => expect(stage.texts().at(-1)).toBe("Picked"));
    expect(stage.endpoint.calls.at(-1)?.params).toEqual({ thread_id: "thr", result: { ran: "pick" } });
  });

  it("says that a thread of somebody else's cannot be opened", async () => {
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { code: "conversation_forbidden", detail: "Not yours." }, 403);
    await stage.conversation.open("thr");
    expect(stage.state()).toMatchObject({ activity: "idle", failure: { message: "Not yours.", allowRetry: false } });
  });
});
