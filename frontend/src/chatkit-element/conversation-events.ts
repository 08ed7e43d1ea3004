/** The element as its conversation sees it. */
import type { ThreadState } from "./reducer";

/** What the conversation tells the element. */
export interface ConversationEvents {
  changed(state: ThreadState): void;
  threadChanged(threadId: string | null): void;
  loadStarted(threadId: string): void;
  loadEnded(threadId: string): void;
  responseStarted(): void;
  responseEnded(): void;
  effect(name: string, data: Record<string, unknown>): void;
  error(error: Error): void;
  /** Runs a tool of the page's own. */
  clientTool(name: string, params: Record<string, unknown>): Promise<unknown>;
}
