/** A stream of events, read to its end: the answer to a request, or the rest of a run. */
import type { EventStream } from "./api-client";
import type { ThreadEvent } from "./protocol";
import type { SseFrame } from "./sse";

/** What a stream tells while it is read. */
export interface TurnSink {
  /** The server has taken the request; the run that answers it, when it names one. */
  accepted(runId: string | null): void;
  /** `cursor` is the last id that came with the events so far: the place to resume from. */
  event(event: ThreadEvent, cursor: string | null): void;
  /** Something came that is not an event of the protocol. */
  malformed(error: Error): void;
}

/** `ended`: the server closed the stream in order. `cut`: the connection broke, or was given up. */
export type TurnEnd = "ended" | "cut";

function isEvent(value: unknown): value is ThreadEvent {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function receive(frame: SseFrame, sink: TurnSink): void {
  let value: unknown;
  try {
    value = JSON.parse(frame.data);
  } catch {
    sink.malformed(new Error("The server sent an event that is not JSON."));
    return;
  }
  if (isEvent(value)) sink.event(value, frame.id);
}

/** Opens the stream and hands on its events. Raises `ApiError` when the server refuses it. */
export async function readTurn(open: () => Promise<EventStream>, signal: AbortSignal, sink: TurnSink): Promise<TurnEnd> {
  let stream;
  try {
    stream = await open();
  } catch (cause) {
    if (signal.aborted) return "cut";
    throw cause;
  }
  sink.accepted(stream.runId);
  try {
    for await (const frame of stream.frames) {
      if (signal.aborted) return "cut";
      // Frames of another name (`run`) are not of the ChatKit protocol.
      if (frame.event === "message") receive(frame, sink);
    }
    return "ended";
  } catch {
    return "cut";
  }
}
