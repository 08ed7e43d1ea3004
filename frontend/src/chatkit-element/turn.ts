/** One turn: a request that is answered with events, read to its end. */
import type { ApiClient } from "./api-client";
import type { StreamingRequest, ThreadEvent } from "./protocol";

/** What a turn tells while it runs. */
export interface TurnSink {
  /** The server has taken the request; the run that answers it, when it names one. */
  accepted(runId: string | null): void;
  event(event: ThreadEvent): void;
  /** Something came that is not an event of the protocol. */
  malformed(error: Error): void;
}

/** `ended`: the server closed the stream in order. `cut`: the connection broke, or was given up. */
export type TurnEnd = "ended" | "cut";

function isEvent(value: unknown): value is ThreadEvent {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function receive(data: string, sink: TurnSink): void {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    sink.malformed(new Error("The server sent an event that is not JSON."));
    return;
  }
  if (isEvent(value)) sink.event(value);
}

/** Sends the request and hands on its events. Raises `ApiError` when the server refuses it. */
export async function readTurn(api: ApiClient, request: StreamingRequest, signal: AbortSignal, sink: TurnSink): Promise<TurnEnd> {
  let stream;
  try {
    stream = await api.stream(request, signal);
  } catch (cause) {
    if (signal.aborted) return "cut";
    throw cause;
  }
  sink.accepted(stream.runId);
  try {
    for await (const frame of stream.frames) {
      if (signal.aborted) return "cut";
      // Frames of another name (`run`) are not of the ChatKit protocol.
      if (frame.event === "message") receive(frame.data, sink);
    }
    return "ended";
  } catch {
    return "cut";
  }
}
