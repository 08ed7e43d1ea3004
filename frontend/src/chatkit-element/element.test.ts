// @vitest-environment jsdom
import type { ChatKitOptions } from "@openai/chatkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { ThreadkeepChatKit } from "./element";
import { registerChatKit } from "./register";
import { answer, frame, question, THREAD } from "./testing/conversation-stage";

// The test's DOM has no constructable style sheets.
vi.mock("./styles", () => ({ styleSheets: () => [] }));

interface Request {
  readonly type: string;
}

type Endpoint = (request: Request) => Response | Promise<Response>;

const STORED = { ...THREAD, title: "Stored", items: { data: [question("q"), answer("a", "Hello")], has_more: false, after: null } };

function events(...list: object[]): Response {
  return new Response(list.map((event) => frame(event)).join(""), { headers: { "content-type": "text/event-stream" } });
}

function optionsOf(endpoint: Endpoint, initialThread: string | null = null): ChatKitOptions {
  const send = async (_input: unknown, init?: RequestInit) => {
    const left = new Promise<never>((_, refuse) => init?.signal?.addEventListener("abort", () => refuse(new DOMException("Left", "AbortError"))));
    return Promise.race([endpoint(JSON.parse(String(init?.body)) as Request), left]);
  };
  return { api: { url: "/chatkit", domainKey: "none", fetch: send as typeof fetch }, initialThread };
}

describe("the element", () => {
  let element: ThreadkeepChatKit;
  let errors: string[];

  function text(): string {
    return element.shadowRoot?.querySelector(".items")?.textContent ?? "";
  }

  /** Takes the element out of the page for longer than a move lasts, and puts it back. */
  async function removeAndReturn(): Promise<void> {
    element.remove();
    await Promise.resolve();
    document.body.append(element);
  }

  beforeEach(() => {
    registerChatKit();
    errors = [];
    element = document.createElement("openai-chatkit") as ThreadkeepChatKit;
    element.addEventListener("chatkit.error", (event) => errors.push((event as CustomEvent<{ error: Error }>).detail.error.message));
    document.body.replaceChildren(element);
  });

  afterEach(() => document.body.replaceChildren());

  it("begins a conversation after it was away", async () => {
    element.setOptions(
      optionsOf(() =>
        events({ type: "thread.created", thread: THREAD }, { type: "thread.item.done", item: question("q") }, { type: "thread.item.done", item: answer("a", "Hello") }),
      ),
    );
    await removeAndReturn();
    await element.sendUserMessage({ text: "q" });
    await expect.poll(text).toContain("Hello");
  });

  it("loads what it was about to load when it was taken away", async () => {
    let loads = 0;
    element.setOptions(optionsOf(() => ((loads += 1) === 1 ? new Promise(() => undefined) : Response.json(STORED)), "thr"));
    await expect.poll(() => loads).toBe(1);
    await removeAndReturn();
    await expect.poll(text).toContain("Hello");
  });

  it("offers to send a first message again that may not have arrived when it was taken away", async () => {
    let asked = 0;
    element.setOptions(optionsOf(() => ((asked += 1), new Promise(() => undefined))));
    const sent = element.sendUserMessage({ text: "q" });
    await removeAndReturn();
    await sent;
    await expect.poll(() => element.shadowRoot?.querySelector(".failure")?.textContent).toContain("Retry");
    expect(text()).toContain("q");
    element.shadowRoot?.querySelector<HTMLButtonElement>(".failure button")?.click();
    await expect.poll(() => asked).toBe(2);
  });

  it("uses the `fetch` of the options that it was given last", async () => {
    element.setOptions(optionsOf(() => Promise.reject(new Error("An old secret."))));
    element.setOptions(optionsOf(() => Response.json(STORED)));
    await element.setThreadId("thr");
    await expect.poll(text).toContain("Hello");
    expect(errors).toEqual([]);
  });

  it("tells once that an action of a widget failed", async () => {
    const widget = { type: "Card", children: [{ type: "Button", label: "Go", onClickAction: { type: "go" } }] };
    const item = { type: "widget", id: "w", thread_id: "thr", created_at: THREAD.created_at, widget };
    const thread = { ...STORED, items: { ...STORED.items, data: [question("q"), item, answer("a", "Hello")] } };
    element.setOptions(optionsOf(({ type }) => (type === "threads.get_by_id" ? Response.json(thread) : Response.json({ detail: "Not now." }, { status: 503 })), "thr"));
    await expect.poll(() => element.shadowRoot?.querySelector(".widget button")).not.toBeNull();
    element.shadowRoot?.querySelector<HTMLButtonElement>(".widget button")?.click();
    await expect.poll(() => element.shadowRoot?.querySelector(".failure")?.textContent).toContain("Not now.");
    expect(errors).toEqual(["Not now."]);
  });

  it("tells that a conversation could not be looked at again after it was renamed", async () => {
    const threads = { data: [THREAD], has_more: false, after: null };
    let loads = 0;
    element.setOptions(
      optionsOf(({ type }) => {
        if (type === "threads.list" || type === "threads.update") return Response.json(threads);
        return (loads += 1) === 1 ? Response.json(STORED) : Response.json({ detail: "Not now." }, { status: 503 });
      }, "thr"),
    );
    await expect.poll(text).toContain("Hello");
    await element.showHistory();
    element.shadowRoot?.querySelector<HTMLButtonElement>("[title=Rename]")?.click();
    const title = element.shadowRoot?.querySelector<HTMLInputElement>(".thread-rename");
    if (title) title.value = "Renamed";
    title?.form?.requestSubmit();
    await expect.poll(() => errors).toEqual(["Not now."]);
  });
});
