/** A conversation over a ChatKit endpoint at a real socket, for tests. */
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, vi } from "vitest";

import { ApiClient } from "../api-client";
import { Conversation } from "../conversation";
import type { ThreadItem } from "../protocol";
import type { ThreadState } from "../reducer";

export const AT = new Date().toISOString();
export const THREAD = { id: "thr", title: null, created_at: AT };

interface Call {
  readonly type: string;
  readonly params: Record<string, unknown>;
}

type Answer = (call: Call, response: ServerResponse) => void;

export function question(id: string): ThreadItem {
  return { type: "user_message", id, thread_id: "thr", created_at: AT, content: [{ type: "input_text", text: id }] };
}

export function answer(id: string, text: string): ThreadItem {
  return { type: "assistant_message", id, thread_id: "thr", created_at: AT, content: [{ type: "output_text", text, annotations: [] }] };
}

export function frame(event: object, name?: string, seq = 1): string {
  return `id: 1-${seq}\n${name ? `event: ${name}\n` : ""}data: ${JSON.stringify(event)}\n\n`;
}

export function json(response: ServerResponse, body: object, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

export function page(items: ThreadItem[], hasMore = false) {
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

export function openStream(response: ServerResponse, runId?: string): void {
  response.writeHead(200, { "content-type": "text/event-stream", ...(runId ? { "x-run-id": runId } : {}) });
}

/** One test's conversation, the endpoint that it talks to, and what it has told so far. */
class ConversationStage {
  endpoint!: Endpoint;
  conversation!: Conversation;
  states: ThreadState[] = [];
  events: string[] = [];
  /** Runs a tool of the page's own. */
  tool: (name: string) => Promise<object> = async (name) => ({ ran: name });

  async begin(): Promise<void> {
    localStorage.clear();
    this.endpoint = new Endpoint();
    this.states = [];
    this.events = [];
    this.conversation = new Conversation(new ApiClient({ url: await this.endpoint.start(), fetch }), {
      changed: (next) => this.states.push(next),
      threadChanged: (id) => this.events.push(`thread ${id}`),
      loadStarted: (id) => this.events.push(`load ${id}`),
      loadEnded: (id) => this.events.push(`loaded ${id}`),
      responseStarted: () => this.events.push("response"),
      responseEnded: () => this.events.push("end"),
      effect: (name) => this.events.push(`effect ${name}`),
      error: (error) => this.events.push(`error ${error.message}`),
      clientTool: (name) => this.tool(name),
    });
    this.conversation.startNew();
  }

  end(): void {
    this.conversation.close();
    this.endpoint.stop();
  }

  state(): ThreadState {
    return this.states.at(-1) as ThreadState;
  }

  texts(): string[] {
    return this.state().items.map((item) => (item.type === "assistant_message" || item.type === "user_message" ? item.content.map(({ text }) => text).join("") : item.type));
  }

  until(check: () => void): Promise<void> {
    return vi.waitFor(check, { timeout: 5_000 });
  }

  settled(): Promise<void> {
    return this.until(() => expect(this.state().activity).toBe("idle"));
  }

  say(text: string): Promise<void> {
    return this.conversation.send({ content: [{ type: "input_text", text }], attachments: [], quoted_text: null, inference_options: {} });
  }
}

/** Gives a stage that is new for each test of the file. */
export function stageForEach(): ConversationStage {
  const stage = new ConversationStage();
  beforeEach(() => stage.begin());
  afterEach(() => stage.end());
  return stage;
}
