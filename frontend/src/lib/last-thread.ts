/** Remembers the open conversation: in the address, so that a link leads to it, and for the next visit. */

const PARAMETER = "thread";

function storageKey(userId: string): string {
  return `threadkeep.thread.${userId}`;
}

/** The thread of the address, else the one that this user had open last. */
export function lastThread(userId: string): string | null {
  const fromAddress = new URLSearchParams(window.location.search).get(PARAMETER);
  if (fromAddress) return fromAddress;
  try {
    return localStorage.getItem(storageKey(userId));
  } catch {
    return null;
  }
}

export function rememberThread(userId: string, threadId: string | null): void {
  const address = new URL(window.location.href);
  if (threadId === null) address.searchParams.delete(PARAMETER);
  else address.searchParams.set(PARAMETER, threadId);
  // The state stays: the router keeps its own in it.
  window.history.replaceState(window.history.state, "", address);
  try {
    if (threadId === null) localStorage.removeItem(storageKey(userId));
    else localStorage.setItem(storageKey(userId), threadId);
  } catch {
    // Without storage the address alone remembers.
  }
}
