/** The answer to what was said last: streamed to this page, or followed again where the page has lost sight of it. */
import { activeRuns } from "./active-runs";
import type { ApiClient } from "./api-client";
import type { ConversationEvents } from "./conversation-events";
import { errorOf, lostBeforeSent, NO_ANSWER, runFailure } from "./failures";
import type { ClientToolCallItem, StreamingRequest } from "./protocol";
import { recover, type RecoveryResult } from "./recovery";
import { awaitsAnswer, withNewestPage, type Failure } from "./reducer";
import type { ShownThread } from "./shown-thread";
import { readTurn, type TurnSink } from "./turn";

/** After a stop, how long the rest of the stream may bring what the run has kept, in milliseconds. */
const STOP_GRACE_MS = 2_000;
/** A question older than this has nobody working on it; it can be asked again. */
const ANSWER_AGE_LIMIT_MS = 10 * 60_000;

/** Gets the answers of one thread, one after the other, until the thread is left. */
export class Answer {
  /** Aborted when an answer is no longer waited for, because the thread is left or asked something new. */
  private waiting = new AbortController();
  private turn: AbortController | null = null;
  /** The last event that was seen of the run in the thread's state. */
  private cursor: string | null = null;

  constructor(
    private readonly api: ApiClient,
    private readonly thread: ShownThread,
    private readonly events: ConversationEvents,
    /** Aborted when the thread is left; whatever still comes of it is ignored from then on. */
    private readonly left: AbortSignal,
  ) {
    left.addEventListener("abort", () => {
      this.waiting.abort();
      this.turn?.abort();
    });
  }

  /**
   * Asks for an answer. Resolves when the server has accepted the request, while the events are still coming, or when
   * that is no longer waited for; raises when it has not.
   */
  ask(request: StreamingRequest): Promise<void> {
    return new Promise((accepted, refused) => {
      this.runTurn(request, accepted).then(accepted, (cause: unknown) => {
        const error = errorOf(cause);
        if (!this.left.aborted) this.thread.fail(error);
        refused(error);
      });
    });
  }

  /** After loading: is somebody still working on the answer? */
  async resume(threadId: string): Promise<void> {
    const runId = activeRuns.get(threadId);
    const { items } = this.thread.state;
    const last = items.at(-1);
    if (runId !== null) return this.follow(threadId, runId, "waiting");
    if (last === undefined || !awaitsAnswer(items)) return;
    if (this.api.serverTime() - Date.parse(last.created_at) < ANSWER_AGE_LIMIT_MS) return this.follow(threadId, null, "waiting");
    if (last.type === "user_message") this.thread.change({ failure: { message: NO_ANSWER, allowRetry: true } });
  }

  /** Ends the answer that is being made; what there is of it stays. */
  async stop(): Promise<void> {
    const { thread, turn } = this;
    const { runId, activity } = thread.state;
    if (runId === null) {
      turn?.abort();
      return;
    }
    thread.change({ activity: "stopping" });
    try {
      await this.api.cancelRun(runId);
      setTimeout(() => turn?.abort(), STOP_GRACE_MS);
    } catch (cause) {
      // The run goes on, and so does the page.
      if (thread.state.activity === "stopping") thread.change({ activity });
      this.events.error(errorOf(cause));
    }
  }

  private async runTurn(request: StreamingRequest, accepted: () => void): Promise<void> {
    const { thread, left } = this;
    const turn = new AbortController();
    this.waiting.abort();
    this.turn = turn;
    this.cursor = null;
    thread.change({ activity: "streaming", runId: null, failure: null, notices: [], progress: null });
    this.events.responseStarted();
    try {
      const end = await readTurn(() => this.api.stream(request, turn.signal), turn.signal, this.sink(left, accepted));
      if (left.aborted) return;
      if (end === "ended" && this.isWhole()) await this.finishTurn(accepted);
      else if (thread.id === null) throw lostBeforeSent();
      else await this.follow(thread.id, thread.state.runId, turn.signal.aborted || end === "ended" ? "waiting" : "reconnecting");
    } finally {
      if (!left.aborted) {
        this.turn = null;
        this.events.responseEnded();
      }
    }
  }

  /** Takes what a stream brings, until `signal` says that nobody waits for it. */
  private sink(signal: AbortSignal, accepted: () => void): TurnSink {
    const { thread } = this;
    return {
      accepted: (runId) => {
        if (!signal.aborted) thread.change({ runId: runId ?? thread.state.runId });
        if (runId !== null && thread.id !== null) activeRuns.set(thread.id, runId);
        accepted();
      },
      event: (event, cursor) => {
        if (signal.aborted) return;
        this.cursor = cursor;
        const before = thread.id;
        thread.apply(event);
        const { runId } = thread.state;
        if (thread.id !== null && thread.id !== before && runId !== null) activeRuns.set(thread.id, runId);
      },
      malformed: (error) => this.events.error(error),
    };
  }

  /** A stream that ended in order may still have ended early: with a run to ask about, it is asked. */
  private isWhole(): boolean {
    const { failure, items, open, runId } = this.thread.state;
    return failure !== null || runId === null || (open.size === 0 && !awaitsAnswer(items));
  }

  private async finishTurn(accepted: () => void): Promise<void> {
    const { thread } = this;
    // A failed run stays noted: after a reload it says again what went wrong.
    if (thread.id !== null && thread.state.failure === null) activeRuns.clear(thread.id);
    const call = thread.state.items.at(-1);
    if (call?.type === "client_tool_call" && call.status === "pending") return this.answerToolCall(call, accepted);
    thread.change({ activity: "idle", runId: null, progress: null });
  }

  private async answerToolCall(call: ClientToolCallItem, accepted: () => void): Promise<void> {
    const result = await this.events.clientTool(call.name, { ...call.arguments });
    if (this.left.aborted) return;
    await this.runTurn({ type: "threads.add_client_tool_output", params: { thread_id: call.thread_id, result: result ?? {} } }, accepted);
  }

  /** Gets the rest of an answer: what is stored of it, and its events from where they were last seen. */
  private async follow(threadId: string, runId: string | null, activity: "waiting" | "reconnecting"): Promise<void> {
    const { thread } = this;
    const { signal } = (this.waiting = new AbortController());
    // A run that was asked to stop is not being waited for, even while its end is.
    const shown = () => (thread.state.activity === "stopping" ? "stopping" : "waiting");
    thread.change({ activity: thread.state.activity === "stopping" ? "stopping" : activity, runId });
    try {
      const result = await recover({
        api: this.api,
        threadId,
        runId,
        signal,
        onPage: (page, final) => {
          if (!signal.aborted) thread.set({ ...withNewestPage(thread.state, page, !final), activity: shown() });
        },
        follow: () => this.watch(threadId, signal),
      });
      if (!signal.aborted) this.settle(threadId, result);
    } catch (cause) {
      if (!signal.aborted) thread.miss(threadId, cause);
    }
  }

  /** Reads a run's events to its end; tells whether it did. Without a known run, the thread's active one is asked for. */
  private async watch(threadId: string, signal: AbortSignal): Promise<boolean> {
    const { thread } = this;
    const { runId } = thread.state;
    const action = { type: "run.resume", payload: {} };
    const request: StreamingRequest = { type: "threads.custom_action", params: { thread_id: threadId, item_id: null, action } };
    let followed = false;
    const sink = this.sink(signal, () => {
      followed = thread.state.runId !== null;
      if (followed && thread.state.activity === "waiting") thread.change({ activity: "streaming" });
    });
    const open = () => (runId === null ? this.api.stream(request, signal) : this.api.runEvents(runId, this.cursor, signal));
    return (await readTurn(open, signal, sink)) === "ended" && followed;
  }

  private settle(threadId: string, result: RecoveryResult): void {
    const { thread } = this;
    const failed = result.kind === "ended" ? runFailure(result.run) : null;
    if (failed === null) activeRuns.clear(threadId);
    thread.change({ activity: "idle", runId: null, progress: null, failure: failed ?? this.unfinished(result) });
  }

  /** What to show of a message that was stopped before the server took it, or that nothing has answered. */
  private unfinished(result: RecoveryResult): Failure | null {
    const { pending, items } = this.thread.state;
    if (pending !== null) return { message: lostBeforeSent().message, allowRetry: true };
    const unanswered = result.kind === "given-up" && items.at(-1)?.type === "user_message";
    return unanswered ? { message: NO_ANSWER, allowRetry: true } : null;
  }
}
