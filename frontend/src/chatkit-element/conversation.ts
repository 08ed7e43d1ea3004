/** One open conversation: what a person, or the page, can do with it. Knows the server, not the page. */
import { Answer } from "./answer";
import type { ApiClient } from "./api-client";
import type { ConversationEvents } from "./conversation-events";
import { ANSWERING, errorOf, lostBeforeSent } from "./failures";
import type { UserMessageInput, WidgetAction } from "./protocol";
import { NEWEST_PAGE_SIZE } from "./recovery";
import { cutAfter, EMPTY_STATE, isBusy, lastUserMessage, withNewestPage, withOlderPage, withPending } from "./reducer";
import { ShownThread } from "./shown-thread";

const OLDER_PAGE_SIZE = 30;

/** For what a request raises: nothing is wrong with one that ended because the thread was left. */
function unlessLeft({ signal }: AbortController): (cause: unknown) => null {
  return (cause) => {
    if (signal.aborted) return null;
    throw cause;
  };
}

export class Conversation {
  private readonly thread: ShownThread;
  /** Aborted when the thread is left; whatever belongs to it stops or is ignored from then on. */
  private scope = new AbortController();
  private answer: Answer;
  private unsent: UserMessageInput | null = null;
  private loadingOlder = false;

  constructor(
    private readonly api: ApiClient,
    private readonly events: ConversationEvents,
  ) {
    this.thread = new ShownThread(events);
    this.answer = new Answer(api, this.thread, events, this.scope.signal);
  }

  get threadId(): string | null {
    return this.thread.id;
  }

  /** Leaves the conversation. Its runs go on at the server. */
  close(): void {
    this.scope.abort();
  }

  /** Shows an empty conversation, which the first message creates. */
  startNew(): void {
    this.reset();
    this.thread.set(EMPTY_STATE);
    this.events.threadChanged(null);
  }

  /** Comes back after `close`, to what the server has by now. A message that may not have arrived can be sent again. */
  async reopen(): Promise<void> {
    const { unsent } = this;
    const threadId = this.threadId ?? this.thread.missed;
    if (threadId !== null) return this.open(threadId);
    this.reset();
    this.unsent = unsent;
    if (this.thread.state.activity !== "idle") this.thread.fail(lostBeforeSent());
  }

  /** Loads a thread and its newest items, and waits for its answer when one is being made. */
  async open(threadId: string): Promise<void> {
    if (await this.loadAnew(threadId)) await this.answer.resume(threadId);
  }

  /** Asks the server for the newest state of this thread. What went wrong, or was not sent, stays to be seen. */
  async refresh(): Promise<void> {
    const { threadId, scope } = this;
    const { activity, failure, pending } = this.thread.state;
    if (threadId === null || activity !== "idle" || failure !== null || pending !== null) return;
    if (await this.load(threadId, scope.signal).catch(unlessLeft(scope))) await this.answer.resume(threadId);
  }

  /**
   * Sends a user message. Resolves when the server has taken it, or this is no longer waited for; raises when it has not,
   * and while another answer is being made.
   */
  async send(input: UserMessageInput): Promise<void> {
    this.refuseBesideAnswer();
    const { missed } = this.thread;
    if (missed !== null && !(await this.loadAnew(missed))) throw new Error(this.thread.state.failure?.message);
    const { threadId } = this;
    this.unsent = input;
    this.thread.set(withPending(this.thread.state, input, new Date().toISOString()));
    await this.answer.ask(
      threadId === null
        ? { type: "threads.create", params: { input } }
        : { type: "threads.add_user_message", params: { thread_id: threadId, input } },
    );
  }

  /** Answers the last user message again; a message that never reached the server is sent again. */
  async retry(): Promise<void> {
    const { threadId, unsent } = this;
    const { missed, state } = this.thread;
    if (missed !== null) return this.open(missed);
    if (state.pending !== null && unsent !== null) return this.send(unsent);
    const question = lastUserMessage(state.items);
    if (threadId === null || question === null) return;
    this.refuseBesideAnswer();
    this.thread.set(cutAfter(state, question.id));
    await this.answer.ask({ type: "threads.retry_after_item", params: { thread_id: threadId, item_id: question.id } });
  }

  /** Sends an action of a widget, or of the page, to the server. One that is answered by a stream raises beside another. */
  async act(action: WidgetAction, itemId: string | null, streaming: boolean): Promise<void> {
    const { threadId, scope } = this;
    if (threadId === null) return;
    const params = { thread_id: threadId, item_id: itemId, action };
    if (streaming) {
      this.refuseBesideAnswer();
      return this.answer.ask({ type: "threads.custom_action", params });
    }
    const answer = await this.api.call("threads.sync_custom_action", params, scope.signal).catch(unlessLeft(scope));
    if (answer?.updated_item) this.thread.apply({ type: "thread.item.replaced", item: answer.updated_item });
  }

  /** Stops the answer that is being made; what there is of it stays. */
  stop(): Promise<void> {
    return this.answer.stop();
  }

  /** Loads the items before the oldest one here. */
  async loadOlder(): Promise<void> {
    const { threadId, scope } = this;
    const after = this.thread.state.olderAfter;
    if (threadId === null || after === null || this.loadingOlder) return;
    this.loadingOlder = true;
    try {
      const page = await this.api.call("items.list", { thread_id: threadId, limit: OLDER_PAGE_SIZE, order: "desc", after }, scope.signal);
      if (!scope.signal.aborted) this.thread.set(withOlderPage(this.thread.state, page));
    } catch (cause) {
      if (!scope.signal.aborted) this.events.error(errorOf(cause));
    } finally {
      this.loadingOlder = false;
    }
  }

  /** One answer at a time: of two, only one could be stopped. A thread that is being loaded is waited for instead. */
  private refuseBesideAnswer(): void {
    const { state } = this.thread;
    if (state.activity !== "loading" && isBusy(state)) throw new Error(ANSWERING);
  }

  private reset(): void {
    this.close();
    this.scope = new AbortController();
    this.answer = new Answer(this.api, this.thread, this.events, this.scope.signal);
    this.unsent = null;
    this.thread.missed = null;
    // A page of the thread that was left may still be on its way.
    this.loadingOlder = false;
  }

  /** Leaves the thread that is here and loads another; tells whether that is here now. */
  private async loadAnew(threadId: string): Promise<boolean> {
    this.reset();
    this.thread.missed = threadId;
    const { signal } = this.scope;
    this.thread.set({ ...EMPTY_STATE, activity: "loading" });
    this.events.threadChanged(threadId);
    this.events.loadStarted(threadId);
    try {
      return await this.load(threadId, signal);
    } catch (cause) {
      if (!signal.aborted) this.thread.miss(threadId, cause);
      return false;
    } finally {
      this.events.loadEnded(threadId);
    }
  }

  /** Loads the thread; tells whether it is shown. What has begun in the meantime is not disturbed. */
  private async load(threadId: string, signal: AbortSignal): Promise<boolean> {
    const { activity } = this.thread.state;
    const thread = await this.api.call("threads.get_by_id", { thread_id: threadId }, signal);
    // The thread comes with its first items; the page shows the last ones.
    const newest = thread.items.has_more
      ? await this.api.call("items.list", { thread_id: threadId, limit: NEWEST_PAGE_SIZE, order: "desc" }, signal)
      : { data: [...thread.items.data].reverse(), has_more: false, after: null };
    if (signal.aborted || this.thread.state.activity !== activity) return false;
    const { items: _items, ...metadata } = thread;
    this.thread.missed = null;
    this.thread.set({ ...withNewestPage(this.thread.state, newest), thread: metadata, activity: "idle" });
    return true;
  }
}
