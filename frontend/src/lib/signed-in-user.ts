/** Keeps the pages of one browser to one user: they share its session. */

const CHANNEL = "threadkeep.user";

/** Tells the other pages who is signed in, and calls `leave` when one says that it is somebody else. The result stops it. */
export function watchUser(userId: string, leave: () => void): () => void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener("message", ({ data }) => {
    if (data !== userId) leave();
  });
  channel.postMessage(userId);
  return () => channel.close();
}
