/** Tells the other tabs and pages of this browser that the tasks have changed. */

const CHANNEL = "threadkeep.tasks";

export function announceTaskChange(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("changed");
  channel.close();
}

/** Calls `listener` after each announcement of another page; the result stops it. */
export function onTaskChange(listener: () => void): () => void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener("message", listener);
  return () => channel.close();
}
