// @vitest-environment jsdom
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { ApiClient } from "./api-client";
import { Conversation } from "./conversation";
import type { ThreadItem } from "./protocol";
import type { ThreadState } from "./reducer";

const AT = new Date().toISOString();
const THREAD = { id: "thr", title: null, created_at: AT };

interface Call {
  readonly type: string;
  readonly params: Record<string, unknown>;
}

type Answer = (call: Call, response: ServerResponse) => void;

function question(id: string): ThreadItem {
  return { type: "user_message", id, thread_id: "thr", created_at: AT, content: [{ type: "input_text", text: id }] };
}

function answer(id: string, text: string): ThreadItem {
  return { type: "assistant_message", id, thread_id: "thr", created_at: AT, content: [{ type: "output_text", text, annotations: [] }] };
}

function frame(event: object, name?: string, seq = 1): string {
  return `id: 1-${seq}\n${name ? `event: ${name}\n` : ""}data: ${JSON.stringify(event)}\n\n`;
}

function json(response: ServerResponse, body: object, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function page(items: ThreadItem[], hasMore = false) {
  return { data: [...items].reverse(), has_more: hasMore, after: items[0]?.id ?? null };
}

/** A ChatKit endpoint at a real socket, with a few runs beside it. */
class Endpoint {
  readonly calls: Call[] = [];
  readonly cancelled: string[] = [];
  /** The cursors that runs were followed from. */
  readonly cursors: (string | undefined)[] = [];
  runs: Record<string, object> = {};
  follow: ((response: ServerResponse) => void) | null = null;
  answers: Record<string, Answer> = {};
  private readonly server: Server = createServer((request, response) => {
    const [, kind = "", id = "", action] = (request.url ?? "").split("/");
    if (kind === "runs" && action === "cancel") this.cancelled.push(id);
    if (kind === "runs" && action === "events" && this.follow !== null) {
      this.cursors.push(request.headers["last-event-id"] as string | undefined);
      return this.follow(response);
    }
    if (kind === "runs") return json(response, this.runs[id] ?? { code: "run_not_found" }, this.runs[id] ? 200 : 404);
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      const call = JSON.parse(body) as Call;
      this.calls.push(call);
      const handler = this.answers[call.type];
      if (handler) handler(call, response);
      else json(response, { detail: `unexpected ${call.type}` }, 500);
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((ready) => this.server.listen(0, "127.0.0.1", ready));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/chatkit`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  types(): string[] {
    return this.calls.map(({ type }) => type);
  }
}

let endpoint: Endpoint;
let conversation: Conversation;
let states: ThreadState[];
let events: string[];

function state(): ThreadState {
  return states.at(-1) as ThreadState;
}

function texts(): string[] {
  return state().items.map((item) => (item.type === "assistant_message" || item.type === "user_message" ? item.content.map(({ text }) => text).join("") : item.type));
}

function settled(): Promise<void> {
  return vi.waitFor(() => expect(state().activity).toBe("idle"), { timeout: 5_000 });
}

function say(text: string): Promise<void> {
  return conversation.send({ content: [{ type: "input_text", text }], attachments: [], quoted_text: null, inference_options: {} });
}

function openStream(response: ServerResponse, runId?: string): void {
  response.writeHead(200, { "content-type": "text/event-stream", ...(runId ? { "x-run-id": runId } : {}) });
}

beforeEach(async () => {
  localStorage.clear();
  endpoint = new Endpoint();
  states = [];
  events = [];
  conversation = new Conversation(new ApiClient({ url: await endpoint.start(), fetch }), {
    changed: (next) => states.push(next),
    threadChanged: (id) => events.push(`thread ${id}`),
    loadStarted: (id) => events.push(`load ${id}`),
    loadEnded: (id) => events.push(`loaded ${id}`),
    responseStarted: () => events.push("response"),
    responseEnded: () => events.push("end"),
    effect: (name) => events.push(`effect ${name}`),
    error: (error) => events.push(`error ${error.message}`),
    clientTool: async (name) => ({ ran: name }),
  });
  conversation.startNew();
});

afterEach(() => {
  conversation.close();
  endpoint.stop();
});

describe("a conversation", () => {
  it("is created by its first message, and passes events on", async () => {
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "client_effect", name: "tasks.changed", data: {} }));
      response.write(frame({ type: "thread.item.done", item: answer("a", "Hello") }));
      response.end(frame({ type: "run.completed" }, "run"));
    };
    await say("q");
    await settled();
    expect(texts()).toEqual(["q", "Hello"]);
    expect(events).toEqual(["thread null", "response", "thread thr", "effect tasks.changed", "end"]);
    expect(localStorage.length).toBe(0);
  });

  it("gets the rest of an answer whose connection was cut", async () => {
    endpoint.runs["run1"] = { id: "run1", status: "in_progress" };
    let looks = 0;
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "Hel") }), () => response.destroy());
    };
    endpoint.answers["items.list"] = (_, response) => {
      looks += 1;
      if (looks === 1) return json(response, page([question("q")]));
      endpoint.runs["run1"] = { id: "run1", status: "completed" };
      json(response, page([question("q"), answer("a", "Hello")]));
    };
    await say("q");
    await settled();
    expect(texts()).toEqual(["q", "Hello"]);
    const activities = states.map(({ activity }) => activity);
    expect(activities).toContain("reconnecting");
    expect(activities).toContain("waiting");
    // What was written before the cut stays until the whole answer is there.
    expect(states.filter(({ activity }) => activity === "waiting").every(({ items }) => items.length === 2)).toBe(true);
  });

  it("follows a run again from where its connection was cut", async () => {
    endpoint.runs["run1"] = { id: "run1", status: "in_progress" };
    const delta = (text: string) => ({
      type: "thread.item.updated",
      item_id: "a",
      update: { type: "assistant_message.content_part.text_delta", content_index: 0, delta: text },
    });
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "") }) + frame(delta("Hel"), undefined, 7), () => response.destroy());
    };
    let stored = [question("q")];
    endpoint.answers["items.list"] = (_, response) => json(response, page(stored));
    endpoint.follow = (response) => {
      openStream(response, "run1");
      response.write(frame(delta("lo"), undefined, 8));
      stored = [question("q"), answer("a", "Hello")];
      endpoint.runs["run1"] = { id: "run1", status: "completed" };
      response.end(frame({ type: "thread.item.done", item: answer("a", "Hello") }, undefined, 9) + frame({ type: "run.completed" }, "run", 10));
    };
    await say("q");
    await settled();
    expect(endpoint.cursors).toEqual(["1-7"]);
    expect(texts()).toEqual(["q", "Hello"]);
    const grown = states.map(({ items }) => items.at(-1)).flatMap((item) => (item?.type === "assistant_message" ? [item.content[0]?.text ?? ""] : []));
    expect([...new Set(grown)]).toEqual(["", "Hel", "Hello"]);
  });

  it("follows the run that answers a thread which was begun elsewhere", async () => {
    let stored = [question("q")];
    endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page(stored) });
    endpoint.answers["items.list"] = (_, response) => json(response, page(stored));
    endpoint.runs["run1"] = { id: "run1", status: "completed" };
    endpoint.answers["threads.custom_action"] = (_, response) => {
      openStream(response, "run1");
      stored = [question("q"), answer("a", "Hello")];
      response.end(frame({ type: "thread.item.added", item: answer("a", "") }) + frame({ type: "thread.item.done", item: answer("a", "Hello") }));
    };
    await conversation.open("thr");
    await settled();
    expect(endpoint.calls.find(({ type }) => type === "threads.custom_action")?.params).toEqual({
      thread_id: "thr",
      item_id: null,
      action: { type: "run.resume", payload: {} },
    });
    expect(texts()).toEqual(["q", "Hello"]);
    expect(states.some(({ activity, runId }) => activity === "streaming" && runId === "run1")).toBe(true);
    expect(localStorage.length).toBe(0);
  });

  it("does not take a stream that ends early for a whole answer", async () => {
    endpoint.runs["run1"] = { id: "run1", status: "completed" };
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }) + frame({ type: "thread.item.added", item: answer("a", "Hel") }));
    };
    endpoint.answers["items.list"] = (_, response) => json(response, page([question("q"), answer("a", "Hello")]));
    await say("q");
    await settled();
    expect(texts()).toEqual(["q", "Hello"]);
  });

  it("leaves a thread behind when another one is opened, whatever still comes of it", async () => {
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
    };
    let release: () => void = () => undefined;
    endpoint.answers["threads.get_by_id"] = ({ params }, response) => {
      const id = String(params["thread_id"]);
      const respond = () => json(response, { ...THREAD, id, items: { data: [question("q"), answer("a", id)], has_more: false, after: null } });
      if (id === "slow") release = respond;
      else respond();
    };
    await say("q");
    await vi.waitFor(() => expect(texts()).toEqual(["q"]));
    const slow = conversation.open("slow");
    await vi.waitFor(() => expect(endpoint.types()).toContain("threads.get_by_id"));
    await conversation.open("other");
    release();
    await slow;
    expect(texts()).toEqual(["q", "other"]);
    expect(state().activity).toBe("idle");
    expect(conversation.threadId).toBe("other");
    // The thread that was left still has its run to come back to.
    expect(localStorage.getItem("threadkeep.chat.run.thr")).toBe("run1");
  });

  it("shows why a run failed, also after a reload", async () => {
    localStorage.setItem("threadkeep.chat.run.thr", "run1");
    endpoint.runs["run1"] = { id: "run1", status: "failed", error: { message: "No model", allow_retry: true } };
    endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page([question("q")]) });
    endpoint.answers["items.list"] = (_, response) => json(response, page([question("q")]));
    await conversation.open("thr");
    expect(state().failure).toEqual({ message: "No model", allowRetry: true });
  });

  it("keeps a message that was refused, and sends it again", async () => {
    endpoint.answers["threads.create"] = (_, response) => json(response, { code: "queue_full", detail: "Too many." }, 429, { "retry-after": "1" });
    await expect(say("q")).rejects.toThrow("Too many.");
    expect(state()).toMatchObject({ activity: "idle", failure: { message: "Too many.", allowRetry: true }, pending: { content: [{ text: "q" }] } });
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }) + frame({ type: "thread.item.done", item: answer("a", "Yes") }));
    };
    await conversation.retry();
    await settled();
    expect(texts()).toEqual(["q", "Yes"]);
    expect(state().pending).toBeNull();
  });

  it("stops a run by name, and shows what was kept", async () => {
    endpoint.runs["run1"] = { id: "run1", status: "cancelled" };
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response, "run1");
      response.write(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: question("q") }));
      response.write(frame({ type: "thread.item.added", item: answer("a", "One two three") }));
    };
    endpoint.answers["items.list"] = (_, response) => json(response, page([question("q"), answer("a", "One two")]));
    await say("q");
    await vi.waitFor(() => expect(texts()).toEqual(["q", "One two three"]));
    await conversation.stop();
    expect(state().activity).toBe("stopping");
    await settled();
    expect(endpoint.cancelled).toEqual(["run1"]);
    expect(texts()).toEqual(["q", "One two"]);
    expect(state().failure).toBeNull();
  });

  it("offers a retry for an old question without an answer", async () => {
    const old = { ...question("q"), created_at: "2020-01-01T00:00:00Z" };
    endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: page([old]) });
    endpoint.answers["threads.retry_after_item"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: answer("a", "Now") }));
    };
    await conversation.open("thr");
    expect(state().failure?.allowRetry).toBe(true);
    await conversation.retry();
    await settled();
    expect(texts()).toEqual(["q", "Now"]);
    expect(endpoint.calls.at(-1)?.params).toEqual({ thread_id: "thr", item_id: "q" });
  });

  it("opens a long thread at its end and loads what is before", async () => {
    const items = ["q1", "a1", "q2", "a2"].map((id) => (id.startsWith("q") ? question(id) : answer(id, id)));
    endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { ...THREAD, items: { data: items.slice(0, 2), has_more: true, after: "a1" } });
    endpoint.answers["items.list"] = ({ params }, response) => json(response, params["after"] === undefined ? page(items.slice(2), true) : page(items.slice(0, 2)));
    await conversation.open("thr");
    expect(texts()).toEqual(["q2", "a2"]);
    await Promise.all([conversation.loadOlder(), conversation.loadOlder()]);
    expect(texts()).toEqual(["q1", "a1", "q2", "a2"]);
    expect(endpoint.calls.filter(({ params }) => params["after"] === "q2")).toHaveLength(1);
    expect(state().olderAfter).toBeNull();
  });

  it("runs a tool of the page and sends its result", async () => {
    const call = { type: "client_tool_call", id: "tc", thread_id: "thr", created_at: AT, status: "pending", call_id: "c", name: "pick", arguments: {} };
    endpoint.answers["threads.create"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.created", thread: THREAD }) + frame({ type: "thread.item.done", item: call }));
    };
    endpoint.answers["threads.add_client_tool_output"] = (_, response) => {
      openStream(response);
      response.end(frame({ type: "thread.item.done", item: answer("a", "Picked") }));
    };
    await say("q");
    await vi.waitFor(() => expect(texts().at(-1)).toBe("Picked"));
    expect(endpoint.calls.at(-1)?.params).toEqual({ thread_id: "thr", result: { ran: "pick" } });
  });

  it("says that a thread of somebody else's cannot be opened", async () => {
    endpoint.answers["threads.get_by_id"] = (_, response) => json(response, { code: "conversation_forbidden", detail: "Not yours." }, 403);
    await conversation.open("thr");
    expect(state()).toMatchObject({ activity: "idle", failure: { message: "Not yours.", allowRetry: false } });
  });
});
