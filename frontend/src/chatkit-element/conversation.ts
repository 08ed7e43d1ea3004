/** One open conversation: its state, and the commands that change it. Knows the server, not the page. */
import { activeRuns } from "./active-runs";
import type { ApiClient } from "./api-client";
import type { ConversationEvents } from "./conversation-events";
import { errorOf, lostBeforeSent, mayRetry, NO_ANSWER, runFailure } from "./failures";
import type { ClientToolCallItem, StreamingRequest, ThreadEvent, UserMessageInput, WidgetAction } from "./protocol";
import { NEWEST_PAGE_SIZE, recover, type RecoveryResult } from "./recovery";
import {
  awaitsAnswer,
  cutAfter,
  EMPTY_STATE,
  lastUserMessage,
  reduce,
  withNewestPage,
  withOlderPage,
  withPending,
  type ThreadState,
} from "./reducer";
import { readTurn, type TurnSink } from "./turn";

/** After a stop, how long the rest of the stream may bring what the run has kept, in milliseconds. */
const STOP_GRACE_MS = 2_000;
const OLDER_PAGE_SIZE = 30;
/** A question older than this has nobody working on it; it can be asked again. */
const ANSWER_AGE_LIMIT_MS = 10 * 60_000;

export class Conversation {
  private current: ThreadState = EMPTY_STATE;
  /** Aborted when the thread is left; whatever belongs to it stops or is ignored from then on. */
  private scope = new AbortController();
  /** Aborted when an answer is no longer waited for, because the thread is left or asked something new. */
  private waiting = new AbortController();
  private turn: AbortController | null = null;
  private unsent: UserMessageInput | null = null;
  /** The thread that should be here and could not be loaded or followed: before anything else it is loaded again. */
  private missed: string | null = null;
  /** The last event that was seen of the run in `current`. */
  private cursor: string | null = null;
  private loadingOlder = false;

  constructor(
    private readonly api: ApiClient,
    private readonly events: ConversationEvents,
  ) {}

  get threadId(): string | null {
    return this.current.thread?.id ?? null;
  }

  /** Leaves the conversation. Its runs go on at the server. */
  close(): void {
    this.scope.abort();
    this.waiting.abort();
    this.turn?.abort();
  }

  /** Shows an empty conversation, which the first message creates. */
  startNew(): void {
    this.reset();
    this.update(EMPTY_STATE);
    this.events.threadChanged(null);
  }

  /** Loads a thread and its newest items, and waits for its answer when one is being made. */
  async open(threadId: string): Promise<void> {
    if (await this.loadAnew(threadId)) await this.resume(threadId);
  }

  /** Asks the server for the newest state of this thread. What went wrong, or was not sent, stays to be seen. */
  async refresh(): Promise<void> {
    const { threadId, scope } = this;
    const { activity, failure, pending } = this.current;
    if (threadId === null || activity !== "idle" || failure !== null || pending !== null) return;
    if (await this.load(threadId, scope.signal)) await this.resume(threadId);
  }

  /** Sends a user message. Resolves when the server has taken it; raises when it has not. */
  async send(input: UserMessageInput): Promise<void> {
    if (this.missed !== null && !(await this.loadAnew(this.missed))) throw new Error(this.current.failure?.message);
    const { threadId } = this;
    this.unsent = input;
    this.update(withPending(this.current, input, new Date().toISOString()));
    await this.start(
      threadId === null
        ? { type: "threads.create", params: { input } }
        : { type: "threads.add_user_message", params: { thread_id: threadId, input } },
    );
  }

  /** Answers the last user message again; a message that never reached the server is sent again. */
  async retry(): Promise<void> {
    const { threadId, unsent, missed } = this;
    if (missed !== null) return this.open(missed);
    if (this.current.pending !== null && unsent !== null) return this.send(unsent);
    const question = lastUserMessage(this.current.items);
    if (threadId === null || question === null) return;
    this.update(cutAfter(this.current, question.id));
    await this.start({ type: "threads.retry_after_item", params: { thread_id: threadId, item_id: question.id } });
  }

  /** Sends an action of a widget, or of the page, to the server. */
  async act(action: WidgetAction, itemId: string | null, streaming: boolean): Promise<void> {
    const { threadId, scope } = this;
    if (threadId === null) return;
    const params = { thread_id: threadId, item_id: itemId, action };
    if (streaming) return this.start({ type: "threads.custom_action", params });
    const { updated_item: item } = await this.api.call("threads.sync_custom_action", params, scope.signal);
    if (item) this.apply({ type: "thread.item.replaced", item });
  }

  /** Stops the answer that is being made; what there is of it stays. */
  async stop(): Promise<void> {
    const { turn } = this;
    const { runId } = this.current;
    if (runId === null) {
      turn?.abort();
      return;
    }
    const { activity } = this.current;
    this.update({ ...this.current, activity: "stopping" });
    try {
      await this.api.cancelRun(runId);
      setTimeout(() => turn?.abort(), STOP_GRACE_MS);
    } catch (cause) {
      // The run goes on, and so does the page.
      if (this.current.activity === "stopping") this.update({ ...this.current, activity });
      this.events.error(errorOf(cause));
    }
  }

  /** Loads the items before the oldest one here. */
  async loadOlder(): Promise<void> {
    const { threadId, scope } = this;
    const after = this.current.olderAfter;
    if (threadId === null || after === null || this.loadingOlder) return;
    this.loadingOlder = true;
    try {
      const page = await this.api.call("items.list", { thread_id: threadId, limit: OLDER_PAGE_SIZE, order: "desc", after }, scope.signal);
      if (!scope.signal.aborted) this.update(withOlderPage(this.current, page));
    } catch (cause) {
      if (!scope.signal.aborted) this.events.error(errorOf(cause));
    } finally {
      this.loadingOlder = false;
    }
  }

  private reset(): void {
    this.close();
    this.scope = new AbortController();
    this.turn = null;
    this.unsent = null;
    this.missed = null;
    this.cursor = null;
    // A page of the thread that was left may still be on its way.
    this.loadingOlder = false;
  }

  private update(state: ThreadState): void {
    this.current = state;
    this.events.changed(state);
  }

  /** A message that will never be taken as it is does not stay. */
  private fail(error: Error, allowRetry: boolean): void {
    const { current } = this;
    const pending = allowRetry ? current.pending : null;
    this.update({ ...current, activity: "idle", runId: null, progress: null, pending, failure: { message: error.message, allowRetry } });
    this.events.error(error);
  }

  private miss(threadId: string, cause: unknown): void {
    const error = errorOf(cause);
    if (mayRetry(error)) this.missed = threadId;
    this.fail(error, mayRetry(error));
  }

  /** Leaves the thread that is here and loads another; tells whether that is here now. */
  private async loadAnew(threadId: string): Promise<boolean> {
    this.reset();
    const { signal } = this.scope;
    this.update({ ...EMPTY_STATE, activity: "loading" });
    this.events.threadChanged(threadId);
    this.events.loadStarted(threadId);
    try {
      return await this.load(threadId, signal);
    } catch (cause) {
      if (!signal.aborted) this.miss(threadId, cause);
      return false;
    } finally {
      this.events.loadEnded(threadId);
    }
  }

  /** Loads the thread; tells whether it is shown. What has begun in the meantime is not disturbed. */
  private async load(threadId: string, signal: AbortSignal): Promise<boolean> {
    const { activity } = this.current;
    const thread = await this.api.call("threads.get_by_id", { thread_id: threadId }, signal);
    // The thread comes with its first items; the page shows the last ones.
    const newest = thread.items.has_more
      ? await this.api.call("items.list", { thread_id: threadId, limit: NEWEST_PAGE_SIZE, order: "desc" }, signal)
      : { data: [...thread.items.data].reverse(), has_more: false, after: null };
    if (signal.aborted || this.current.activity !== activity) return false;
    const { items: _items, ...metadata } = thread;
    this.update({ ...withNewestPage(this.current, newest), thread: metadata, activity: "idle" });
    return true;
  }

  /** After loading: is somebody still working on the answer? */
  private async resume(threadId: string): Promise<void> {
    const runId = activeRuns.get(threadId);
    const last = this.current.items.at(-1);
    if (runId !== null) return this.follow(threadId, runId, "waiting");
    if (last === undefined || !awaitsAnswer(this.current.items)) return;
    if (Date.now() - Date.parse(last.created_at) < ANSWER_AGE_LIMIT_MS) return this.follow(threadId, null, "waiting");
    if (last.type === "user_message") this.update({ ...this.current, failure: { message: NO_ANSWER, allowRetry: true } });
  }

  /** Starts a turn; resolves when the server has accepted it, while the events are still coming. */
  private start(request: StreamingRequest): Promise<void> {
    const { scope } = this;
    return new Promise((accepted, refused) => {
      this.runTurn(request, accepted).catch((cause: unknown) => {
        const error = errorOf(cause);
        if (!scope.signal.aborted) this.fail(error, mayRetry(error));
        refused(error);
      });
    });
  }

  private async runTurn(request: StreamingRequest, accepted: () => void): Promise<void> {
    const { signal } = this.scope;
    const turn = new AbortController();
    this.waiting.abort();
    this.turn = turn;
    this.update({ ...this.current, activity: "streaming", runId: null, failure: null, notices: [], progress: null });
    this.events.responseStarted();
    try {
      this.cursor = null;
      const end = await readTurn(() => this.api.stream(request, turn.signal), turn.signal, this.sink(signal, accepted));
      if (signal.aborted) return;
      if (end === "ended" && this.isWhole()) await this.finishTurn(accepted);
      else if (this.threadId === null) throw lostBeforeSent();
      else await this.follow(this.threadId, this.current.runId, turn.signal.aborted || end === "ended" ? "waiting" : "reconnecting");
    } finally {
      if (!signal.aborted) {
        this.turn = null;
        this.events.responseEnded();
      }
    }
  }

  private sink(signal: AbortSignal, accepted: () => void): TurnSink {
    return {
      accepted: (runId) => {
        if (!signal.aborted) this.update({ ...this.current, runId: runId ?? this.current.runId });
        if (runId !== null && this.threadId !== null) activeRuns.set(this.threadId, runId);
        accepted();
      },
      event: (event, cursor) => {
        if (signal.aborted) return;
        this.cursor = cursor;
        this.apply(event);
      },
      malformed: (error) => this.events.error(error),
    };
  }

  /** A stream that ended in order may still have ended early: with a run to ask about, it is asked. */
  private isWhole(): boolean {
    const { failure, items, open, runId } = this.current;
    return failure !== null || runId === null || (open.size === 0 && !awaitsAnswer(items));
  }

  private apply(event: ThreadEvent): void {
    const before = this.threadId;
    this.update(reduce(this.current, event));
    if (event.type === "client_effect") this.events.effect(event.name, event.data ?? {});
    if (event.type === "error") this.events.error(new Error(event.message || event.code));
    const { threadId } = this;
    const { runId } = this.current;
    if (threadId === null || threadId === before) return;
    this.events.threadChanged(threadId);
    if (runId !== null) activeRuns.set(threadId, runId);
  }

  private async finishTurn(accepted: () => void): Promise<void> {
    // A failed run stays noted: after a reload it says again what went wrong.
    if (this.threadId !== null && this.current.failure === null) activeRuns.clear(this.threadId);
    const call = this.current.items.at(-1);
    if (call?.type === "client_tool_call" && call.status === "pending") return this.answerToolCall(call, accepted);
    this.update({ ...this.current, activity: "idle", runId: null, progress: null });
  }

  private async answerToolCall(call: ClientToolCallItem, accepted: () => void): Promise<void> {
    const result = await this.events.clientTool(call.name, { ...call.arguments });
    await this.runTurn({ type: "threads.add_client_tool_output", params: { thread_id: call.thread_id, result: result ?? {} } }, accepted);
  }

  /** Gets the rest of an answer: what is stored of it, and its events from where they were last seen. */
  private async follow(threadId: string, runId: string | null, activity: "waiting" | "reconnecting"): Promise<void> {
    const { signal } = (this.waiting = new AbortController());
    // A run that was asked to stop is not being waited for, even while its end is.
    const shown = () => (this.current.activity === "stopping" ? "stopping" : "waiting");
    this.update({ ...this.current, activity: this.current.activity === "stopping" ? "stopping" : activity, runId });
    try {
      const result = await recover({
        api: this.api,
        threadId,
        runId,
        signal,
        onPage: (page, final) => {
          if (!signal.aborted) this.update({ ...withNewestPage(this.current, page, !final), activity: shown() });
        },
        follow: () => this.watch(threadId, signal),
      });
      if (!signal.aborted) this.settle(threadId, result);
    } catch (cause) {
      if (!signal.aborted) this.miss(threadId, cause);
    }
  }

  /** Reads a run's events to its end; tells whether it did. Without a known run, the thread's active one is asked for. */
  private async watch(threadId: string, signal: AbortSignal): Promise<boolean> {
    const { runId } = this.current;
    const action = { type: "run.resume", payload: {} };
    const request: StreamingRequest = { type: "threads.custom_action", params: { thread_id: threadId, item_id: null, action } };
    let followed = false;
    const sink = this.sink(signal, () => {
      followed = this.current.runId !== null;
      if (followed && this.current.activity === "waiting") this.update({ ...this.current, activity: "streaming" });
    });
    const open = () => (runId === null ? this.api.stream(request, signal) : this.api.runEvents(runId, this.cursor, signal));
    return (await readTurn(open, signal, sink)) === "ended" && followed;
  }

  private settle(threadId: string, result: RecoveryResult): void {
    const failed = result.kind === "ended" ? runFailure(result.run) : null;
    if (failed === null) activeRuns.clear(threadId);
    const unanswered = result.kind === "given-up" && this.current.items.at(-1)?.type === "user_message";
    const failure = failed ?? (unanswered ? { message: NO_ANSWER, allowRetry: true } : null);
    this.update({ ...this.current, activity: "idle", runId: null, progress: null, failure });
  }
}
