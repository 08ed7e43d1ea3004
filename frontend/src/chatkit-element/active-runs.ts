/** Remembers, across reloads, which run is answering a thread. */

const PREFIX = "threadkeep.chat.run.";

/** Storage may be forbidden or full; then a reload looks at the items alone. */
function attempt<T>(action: () => T, fallback: T): T {
  try {
    return action();
  } catch {
    return fallback;
  }
}

export const activeRuns = {
  get: (threadId: string): string | null => attempt(() => localStorage.getItem(PREFIX + threadId), null),
  set: (threadId: string, runId: string): void => attempt(() => localStorage.setItem(PREFIX + threadId, runId), undefined),
  clear: (threadId: string): void => attempt(() => localStorage.removeItem(PREFIX + threadId), undefined),
};
