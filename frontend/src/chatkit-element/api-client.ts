/** Requests of the chat element: the ChatKit endpoint, and the runs beside it. */
import { problemOf } from "../lib/problem";

import type { JsonRequests, StreamingRequest } from "./protocol";
import { readFrames, type SseFrame } from "./sse";

export interface ApiOptions {
  readonly url: string;
  readonly fetch?: typeof fetch | undefined;
}

/** One execution of the agent, as far as the page needs it. */
export interface Run {
  readonly id: string;
  readonly status: "queued" | "in_progress" | "completed" | "failed" | "cancelled";
  readonly error?: { readonly message?: string; readonly allow_retry?: boolean } | null;
}

export interface EventStream {
  /** The run that makes the answer, when the server names it. */
  readonly runId: string | null;
  readonly frames: AsyncGenerator<SseFrame>;
}

const RUN_ID_HEADER = "x-run-id";

function eventsOf(response: Response): EventStream {
  if (response.body === null) throw new TypeError("The answer has no body to read events from.");
  return { runId: response.headers.get(RUN_ID_HEADER), frames: readFrames(response.body) };
}

/** Talks to one ChatKit endpoint. Every method raises `ApiError` for an answer that is not a success. */
export class ApiClient {
  /** How far the server's clock was ahead of the browser's at the last answer, in milliseconds. */
  private serverAhead = 0;

  constructor(public options: ApiOptions) {}

  get url(): string {
    return this.options.url;
  }

  /** The time at the server, in milliseconds since 1970, right to a second or so. Where no answer has told it, the browser's. */
  serverTime(): number {
    return Date.now() + this.serverAhead;
  }

  /** Sends a request that is answered with one document. */
  async call<T extends keyof JsonRequests>(
    type: T,
    params: JsonRequests[T]["params"],
    signal?: AbortSignal,
  ): Promise<JsonRequests[T]["answer"]> {
    const response = await this.post({ type, params }, "application/json", signal);
    return (await response.json()) as JsonRequests[T]["answer"];
  }

  /** Sends a request that is answered with events. */
  async stream(request: StreamingRequest, signal: AbortSignal): Promise<EventStream> {
    return eventsOf(await this.post(request, "text/event-stream", signal));
  }

  /** The events of a run behind `cursor` (all of them without one), to its end. */
  async runEvents(runId: string, cursor: string | null, signal: AbortSignal): Promise<EventStream> {
    const headers = { accept: "text/event-stream", ...(cursor === null ? {} : { "last-event-id": cursor }) };
    return eventsOf(await this.send(`${this.runUrl(runId)}/events`, { headers, signal, cache: "no-store" }));
  }

  /** How a run is doing. */
  async run(runId: string, signal?: AbortSignal): Promise<Run> {
    const response = await this.send(this.runUrl(runId), { signal: signal ?? null, cache: "no-store" });
    return (await response.json()) as Run;
  }

  /** Asks for a run to stop; what it has made so far is kept. */
  async cancelRun(runId: string): Promise<void> {
    await this.send(`${this.runUrl(runId)}/cancel`, { method: "POST" });
  }

  /** Runs live beside the ChatKit endpoint: `…/chatkit` → `…/runs/{id}`. */
  private runUrl(runId: string): string {
    const endpoint = new URL(this.options.url, globalThis.location?.href);
    return new URL(`runs/${encodeURIComponent(runId)}`, endpoint).href;
  }

  private post(body: object, accept: string, signal: AbortSignal | undefined): Promise<Response> {
    return this.send(this.options.url, {
      method: "POST",
      headers: { "content-type": "application/json", accept },
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
  }

  private async send(url: string, init: RequestInit): Promise<Response> {
    const response = await (this.options.fetch ?? fetch)(url, init);
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.serverAhead = date - Date.now();
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}
