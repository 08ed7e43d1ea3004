// @vitest-environment jsdom
import { describe, expect, it, vi } from "vitest";

import { answer, frame, json, openStream, page, question, stageForEach, THREAD } from "./testing/conversation-stage";

const stage = stageForEach();

describe("a conversation that lost sight of its run", () => {
  it("gets the rest of an answer whose connection was cut", async () => {
    stage.endpoint.runs["run1"] = { id: "run1", status: "in_progress" };
    let looks = 0;
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "Hel") }), () => response.destroy());
    };
    stage.endpoint.answers["items.list"] = (_, response) => {
      looks += 1;
      if (looks === 1) return json(response, page([question("q")]));
      stage.endpoint.runs["run1"] = { id: "run1", status: "completed" };
      json(response, page([question("q"), answer("a", "Hello")]));
    };
    await stage.say("q");
    await stage.settled();
    expect(stage.texts()).toEqual(["q", "Hello"]);
    const activities = stage.states.map(({ activity }) => activity);
    expect(activities).toContain("reconnecting");
    expect(activities).toContain("waiting");
    // What was written before the cut stays until the whole answer is there.
    expect(stage.states.filter(({ activity }) => activity === "waiting").every(({ items }) => items.length === 2)).toBe(true);
  });

  it("follows a run again from where its connection was cut", async () => {
    stage.endpoint.runs["run1"] = { id: "run1", status: "in_progress" };
    const delta = (text: string) => ({
      type: "thread.item.updated",
      item_id: "a",
      update: { type: "assistant_message.content_part.text_delta", content_index: 0, delta: text },
    });
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "") }) + frame(delta("Hel"), undefined, 7), () => response.destroy());
    };
    let stored = [question("q")];
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page(stored));
    stage.endpoint.follow = (response) => {
      openStream(response, "run1");
      response.write(frame(delta("lo"), undefined, 8));
      stored = [question("q"), answer("a", "Hello")];
      stage.endpoint.runs["run1"] = { id: "run1", status: "completed" };
      response.end(frame({ type: "thread.item.done", item: answer("a", "Hello") }, undefined, 9) + frame({ type: "run.completed" }, "run", 10));
    };
    await stage.say("q");
    await stage.settled();
    expect(stage.endpoint.cursors).toEqual(["1-7"]);
    expect(stage.texts()).toEqual(["q", "Hello"]);
    const grown = stage.states.map(({ items }) => items.at(-1)).flatMap((item) => (item?.type === "assistant_message" ? [item.content[0]?.text ?? ""] : []));
    expect([...new Set(grown)]).toEqual(["", "Hel", "Hello"]);
  });

  it("follows the run that answers a thread which was begun elsewhere", async () => {
    let stored = [question("q")];
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page(stored) });
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page(stored));
    stage.endpoint.runs["run1"] = { id: "run1", status: "completed" };
    stage.endpoint.answers["threads.custom_action"] = (_, response) => {
      openStream(response, "run1");
      stored = [question("q"), answer("a", "Hello")];
      response.end(frame({ type: "thread.item.added", item: answer("a", "") }) + frame({ type: "thread.item.done", item: answer("a", "Hello") }));
    };
    await stage.conversation.open("thr");
    await stage.settled();
    expect(stage.endpoint.calls.find(({ type }) => type === "threads.custom_action")?.params).toEqual({
      thread_id: "thr",
      item_id: null,
      action: { type: "run.resume", payload: {} },
    });
    expect(stage.texts()).toEqual(["q", "Hello"]);
    expect(stage.states.some(({ activity, runId }) => activity === "streaming" && runId === "run1")).toBe(true);
    expect(localStorage.length).toBe(0);
  });

  it.each([
    ["ahead", 11, 0, true],
    ["behind", -11, 11, false],
  ])("tells a question's age by the server's clock when the browser's is %s", async (_, minutesAhead, age, isFollowed) => {
    const browserTime = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => browserTime() + minutesAhead * 60_000);
    const asked = { ...question("q"), created_at: new Date(browserTime() - age * 60_000).toISOString() };
    stage.endpoint.answers["threads.get_by_id"] = (_call, response) => json(response, { ...THREAD, items: page([asked]) });
    stage.endpoint.answers["items.list"] = (_call, response) => json(response, page([asked, answer("a", "Hello")]));
    await stage.conversation.open("thr");
    expect(stage.texts()).toEqual(isFollowed ? ["q", "Hello"] : ["q"]);
    expect(stage.states.some(({ failure }) => failure !== null)).toBe(!isFollowed);
  });

  it("does not take a stream that ends early for a whole answer", async () => {
    stage.endpoint.runs["run1"] = { id: "run1", status: "completed" };
    stage.endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }) + frame({ type: "thread.item.added", item: answer("a", "Hel") }));
    };
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page([question("q"), answer("a", "Hello")]));
    await stage.say("q");
    await stage.settled();
    expect(stage.texts()).toEqual(["q", "Hello"]);
  });

  it("shows why a run failed, also after a reload", async () => {
    localStorage.setItem("threadkeep.chat.run.thr", "run1");
    stage.endpoint.runs["run1"] = { id: "run1", status: "failed", error: { message: "No model", allow_retry: true } };
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page([question("q")]) });
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page([question("q")]));
    await stage.conversation.open("thr");
    expect(stage.state().failure).toEqual({ message: "No model", allowRetry: true });
  });
});
