/** Runs once when the server starts, before the first request. */

/** Checks the settings. The check ends the process, which only the Node.js runtime can do. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME === "nodejs") {
    const { checkSettings } = await import("@/server/startup");
    checkSettings();
  }
}
