// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import type { ThreadItem } from "./protocol";
import { answer, frame, json, openStream, page, question, stageForEach, THREAD } from "./testing/conversation-stage";

const stage = stageForEach();

/** A thread as it is loaded: its first items, oldest first. */
function threadOf(items: ThreadItem[], title: string | null = null) {
  return { ...THREAD, title, items: { data: items, has_more: false, after: null } };
}

/** Answers what opens and continues a stored thread; `broken` is what it answers instead while it is set. */
function storedThread(broken: { status: number | null }): void {
  const { answers } = stage.endpoint;
  const items = [question("q"), answer("a", "Hello")];
  answers["threads.get_by_id"] = (_, response) => (broken.status === null ? json(response, threadOf(items)) : json(response, { detail: "Not now." }, broken.status));
  answers["threads.add_user_message"] = (_, response) => {
    openStream(response);
    response.end(frame({ type: "thread.item.done", item: question("q2") }) + frame({ type: "thread.item.done", item: answer("a2", "Hello again") }));
  };
}

describe("a thread that could not be loaded", () => {
  it.each([401, 502])("is loaded again by a retry (%d)", async (status) => {
    const broken = { status: status as number | null };
    storedThread(broken);
    await stage.conversation.open("thr");
    expect(stage.state()).toMatchObject({ activity: "idle", failure: { message: "Not now.", allowRetry: true } });
    broken.status = null;
    await stage.conversation.retry();
    expect(stage.state().failure).toBeNull();
    expect(stage.texts()).toEqual(["q", "Hello"]);
  });

  it("is where the next message goes", async () => {
    const broken = { status: 502 as number | null };
    storedThread(broken);
    await stage.conversation.open("thr");
    await expect(stage.say("q2")).rejects.toThrow("Not now.");
    broken.status = null;
    await stage.say("q2");
    await stage.settled();
    expect(stage.endpoint.types()).not.toContain("threads.create");
    expect(stage.texts()).toEqual(["q", "Hello", "q2", "Hello again"]);
  });
});

describe("a message that was refused", () => {
  it("waits for another try when the session has ended", async () => {
    stage.endpoint.answers["threads.create"] = (_, response) => json(response, { detail: "Sign in to continue." }, 401);
    await expect(stage.say("q")).rejects.toThrow("Sign in to continue.");
    expect(stage.state()).toMatchObject({ failure: { allowRetry: true }, pending: { content: [{ text: "q" }] } });
  });

  it.each([404, 413])("does not stay when it never will be taken (%d)", async (status) => {
    stage.endpoint.answers["threads.create"] = (_, response) => json(response, { detail: "No." }, status);
    await expect(stage.say("q")).rejects.toThrow("No.");
    expect(stage.state()).toMatchObject({ failure: { message: "No.", allowRetry: false }, pending: null });
  });
});

describe("looking again at a thread", () => {
  it("shows what was said elsewhere, and follows its answer", async () => {
    storedThread({ status: null });
    await stage.conversation.open("thr");
    const stored = [question("q"), answer("a", "Hello"), question("q2")];
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => json(response, threadOf(stored, "Renamed"));
    stage.endpoint.answers["items.list"] = (_, response) => json(response, page([...stored, answer("a2", "Hello again")]));
    await stage.conversation.refresh();
    expect(stage.state().thread?.title).toBe("Renamed");
    expect(stage.texts()).toEqual(["q", "Hello", "q2", "Hello again"]);
  });

  it("keeps a message that has not been sent", async () => {
    storedThread({ status: null });
    await stage.conversation.open("thr");
    stage.endpoint.answers["threads.add_user_message"] = (_, response) => json(response, { detail: "Too many." }, 429);
    await expect(stage.say("q2")).rejects.toThrow("Too many.");
    await stage.conversation.refresh();
    expect(stage.state()).toMatchObject({ failure: { message: "Too many." }, pending: { content: [{ text: "q2" }] } });
  });

  it("says nothing of a thread that was left meanwhile", async () => {
    storedThread({ status: null });
    await stage.conversation.open("thr");
    stage.endpoint.answers["threads.get_by_id"] = () => undefined;
    const looked = stage.conversation.refresh();
    const acted = stage.conversation.act({ type: "go" }, null, false);
    stage.conversation.startNew();
    await Promise.all([looked, acted]);
    expect(stage.events.filter((event) => event.startsWith("error"))).toEqual([]);
    expect(stage.texts()).toEqual([]);
  });

  it("leaves an answer alone that has begun meanwhile", async () => {
    storedThread({ status: null });
    await stage.conversation.open("thr");
    let answerLater = () => undefined as void;
    stage.endpoint.answers["threads.get_by_id"] = (_, response) => {
      answerLater = () => json(response, threadOf([question("q")]));
    };
    const looked = stage.conversation.refresh();
    stage.endpoint.answers["threads.add_user_message"] = (_, response) => {
      openStream(response);
      response.write(frame({ type: "thread.item.added", item: answer("a2", "Hel") }));
    };
    await stage.say("q2");
    await stage.until(() => expect(stage.texts()).toContain("Hel"));
    answerLater();
    await looked;
    expect(stage.state()).toMatchObject({ activity: "streaming" });
    expect(stage.texts()).toEqual(["q", "Hello", "Hel"]);
  });
});
