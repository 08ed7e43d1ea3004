/** Finds an implementation of `<openai-chatkit>`: OpenAI's script where it can be had, else our own. */

export type ChatKitSource = "openai" | "threadkeep";

const ELEMENT_NAME = "openai-chatkit";

function loadScript(url: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const finish = (loaded: boolean) => {
      clearTimeout(timer);
      resolve(loaded);
    };
    const script = document.createElement("script");
    script.src = url;
    script.async = true;
    script.addEventListener("error", () => finish(false));
    script.addEventListener("load", () => void customElements.whenDefined(ELEMENT_NAME).then(() => finish(true)));
    document.head.append(script);
  });
}

/** Whether the browser loaded the page at this path itself. After a click on a link, the first page's policy holds on. */
function isOwnDocument(): boolean {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation !== undefined && new URL(navigation.name).pathname === window.location.pathname;
}

async function find(scriptUrl: string | null, timeoutMs: number): Promise<ChatKitSource> {
  if (scriptUrl !== null && !isOwnDocument()) {
    // Only the chat page's policy lets OpenAI's frame in.
    window.location.reload();
    return new Promise(() => undefined);
  }
  if (scriptUrl !== null && (await loadScript(scriptUrl, timeoutMs))) return "openai";
  const { registerChatKit } = await import("@/chatkit-element/register");
  return registerChatKit() ? "threadkeep" : "openai";
}

let found: Promise<ChatKitSource> | null = null;

/** Makes the element available, once for the life of the page, and says whose it is. */
export function provideChatKit(scriptUrl: string | null, timeoutMs: number): Promise<ChatKitSource> {
  found ??= find(scriptUrl, timeoutMs);
  return found;
}
