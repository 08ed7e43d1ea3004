/** The thread that is shown: its state, how events and failures change it, and who hears of that. */
import type { ConversationEvents } from "./conversation-events";
import { errorOf, mayRetry } from "./failures";
import type { ThreadEvent } from "./protocol";
import { EMPTY_STATE, reduce, type ThreadState } from "./reducer";

export class ShownThread {
  /** The thread that should be here and has not been loaded, or could not be followed: before anything else it is loaded. */
  missed: string | null = null;
  private current: ThreadState = EMPTY_STATE;

  constructor(private readonly events: ConversationEvents) {}

  get state(): ThreadState {
    return this.current;
  }

  get id(): string | null {
    return this.current.thread?.id ?? null;
  }

  /** Shows `state` in place of what is here. */
  set(state: ThreadState): void {
    this.current = state;
    this.events.changed(state);
  }

  /** Changes a part of the state; the rest stays. */
  change(part: Partial<ThreadState>): void {
    this.set({ ...this.current, ...part });
  }

  /** Takes an event of the server's, and passes on what is not for the state alone. */
  apply(event: ThreadEvent): void {
    const before = this.id;
    this.set(reduce(this.current, event));
    if (event.type === "client_effect") this.events.effect(event.name, event.data ?? {});
    if (event.type === "error") this.events.error(new Error(event.message || event.code));
    if (this.id !== null && this.id !== before) this.events.threadChanged(this.id);
  }

  /** Shows that something went wrong. A message that will never be taken as it is does not stay. */
  fail(error: Error): void {
    const allowRetry = mayRetry(error);
    const pending = allowRetry ? this.current.pending : null;
    this.change({ activity: "idle", runId: null, progress: null, pending, failure: { message: error.message, allowRetry } });
    this.events.error(error);
  }

  /** Shows that the thread, or its answer, could not be had. */
  miss(threadId: string, cause: unknown): void {
    const error = errorOf(cause);
    this.missed = mayRetry(error) ? threadId : null;
    this.fail(error);
  }
}
