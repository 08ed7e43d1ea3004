// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import { answer, AT, frame, json, openStream, page, question, stageForEach, THREAD } from "./testing/conversation-stage";

const stage = stageForEach();

function stored(id: string, text: string) {
  return { ...THREAD, id, items: { data: [question("q"), answer("a", text)], has_more: false, after: null } };
}

describe("a message that was stopped before the server answered", () => {
  async function stopUnanswered(storedMeanwhile: boolean): Promise<void> {
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, stored("thr", "Hello"));
    stage.endpoint.answers["threads.add_user_message"] = () => undefined;
    const newest = [question("q"), answer("a", "Hello"), ...(storedMeanwhile ? [question("q2"), answer("a2", "Hello again")] : [])];
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page(newest));
    await stage.conversation.open("thr");
    const said = stage.say("q2");
    await stage.until(() => expect(stage.endpoint.types()).toContain("threads.add_user_message"));
    await stage.conversation.stop();
    await said;
    await stage.settled();
  }

  it("stays to be sent again when it has not arrived", async () => {
    await stopUnanswered(false);
    expect(stage.state()).toMatchObject({ failure: { allowRetry: true }, pending: { content: [{ text: "q2" }] } });
  });

  it("gives way to the stored one when it has", async () => {
    await stopUnanswered(true);
    expect(stage.texts()).toEqual(["q", "Hello", "q2", "Hello again"]);
    expect(stage.state()).toMatchObject({ failure: null, pending: null });
  });
});

describe("a run that is followed", () => {
  it("is followed no longer once its thread was left", async () => {
    localStorage.setItem("threadkeep.chat.run.thr", "run1");
    stage.endpoint.runs["run1"] = { id: "run1", status: "in_progress" };
    stage.endpoint.answers["threads.get_by_id"] = ({ params }, response) => {
      const id = String(params["thread_id"]);
      json(response, id === "thr" ? { ...THREAD, items: page([question("q")]) } : stored(id, "Other"));
    };
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page([question("q")]));
    let closed = false;
    stage.endpoint.follow = (response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.item.added", item: answer("a", "Hel") }));
      response.on("close", () => (closed = true));
    };
    const opened = stage.conversation.open("thr");
    await stage.until(() => expect(stage.texts()).toEqual(["q", "Hel"]));
    await stage.conversation.open("other");
    await opened;
    await stage.until(() => expect(closed).toBe(true));
    expect(stage.texts()).toEqual(["q", "Other"]);
    expect(stage.state().activity).toBe("idle");
  });
});

describe("a tool of the page", () => {
  it("that ends after its thread was left says nothing in the next one", async () => {
    const call = { type: "client_tool_call", id: "tc", thread_id: "thr", created_at: AT, status: "pending", call_id: "c", name: "pick", arguments: {} };
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: call }));
    };
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, stored("other", "Other"));
    stage.endpoint.answers["threads.add_client_tool_output"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: answer("picked", "Picked") }));
    };
    let finish: () => void = () => undefined;
    stage.tool = () => new Promise((resolve) => (finish = () => resolve({})));
    await stage.say("q");
    await stage.until(() => expect(stage.texts()).toContain("client_tool_call"));
    await stage.conversation.open("other");
    const told = stage.states.length;
    finish();
    await stage.conversation.refresh();
    expect(stage.states.slice(told).every(({ activity }) => activity === "idle")).toBe(true);
    expect(stage.texts()).toEqual(["q", "Other"]);
  });
});
