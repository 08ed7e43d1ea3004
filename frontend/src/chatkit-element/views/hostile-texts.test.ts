// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import type { ApiClient } from "../api-client";
import type { ThreadItem } from "../protocol";

import { HistoryPanel } from "./history-panel";
import { createItemView } from "./items";

const HOSTILE = ["<script>alert(1)</script>", '<img src=x onerror="alert(1)">', '"><svg onload=alert(1)>', "<mark>found</mark>"];
const CONTEXT = { imageDomains: () => null, act: () => undefined };
const BASE = { id: "i", thread_id: "t", created_at: "2026-01-01T00:00:00Z" };

/** Items of every kind that shows a text, with `text` wherever one can stand. */
function itemsWith(text: string): ThreadItem[] {
  const source = { type: "url", title: text, url: text };
  const task = { type: "custom", title: text, status_indicator: "none" };
  const widget = {
    type: "Card",
    status: { text },
    children: [
      ...["Text", "Title", "Caption", "Label", "Markdown"].map((type) => ({ type, value: text })),
      { type: "Badge", label: text },
      { type: "Button", label: text, iconStart: text },
      { type: "Image", src: text, alt: text },
      { type: text },
    ],
  };
  return [
    { ...BASE, type: "user_message", content: [{ type: "input_text", text }, { type: "input_tag", text }], quoted_text: text, attachments: [{ name: text }] },
    { ...BASE, type: "assistant_message", content: [{ type: "output_text", text, annotations: [{ type: "annotation", source }] }] },
    { ...BASE, type: "widget", widget },
    { ...BASE, type: "workflow", workflow: { type: "custom", tasks: [task], summary: { title: text } } },
    { ...BASE, type: "task", task },
    { ...BASE, type: "generated_image", image: { url: text } },
    { ...BASE, type: "structured_input", inputs: [{ question: text }] },
  ] as unknown as ThreadItem[];
}

function expectHarmless(element: HTMLElement): void {
  expect(element.querySelector("script, img, mark, iframe, svg[onload], a:not([href^='http'])")).toBeNull();
  for (const node of element.querySelectorAll("*")) {
    for (const { name } of node.attributes) expect(name.startsWith("on"), `${node.tagName} ${name}`).toBe(false);
  }
}

describe.each(HOSTILE)("%s", (text) => {
  it.each(itemsWith(text).map((item) => [item.type, item] as const))("stays a text in a %s", (type, item) => {
    const view = createItemView(item, CONTEXT);
    view.update(item);
    expectHarmless(view.element);
    if (type !== "generated_image") expect(view.element.textContent).toContain(text);
  });

  it("stays a text as a conversation's title", async () => {
    const page = { data: [{ id: "t", title: text, created_at: BASE.created_at }], has_more: false, after: null };
    const api = { call: async () => page } as unknown as ApiClient;
    const nothing = () => undefined;
    const panel = new HistoryPanel(() => api, () => ({ showDelete: true, showRename: true }), { open: nothing, close: nothing, deleted: nothing, renamed: nothing, error: nothing });
    await panel.open(null);
    expectHarmless(panel.element);
    expect(panel.element.querySelector(".thread-title")?.textContent).toBe(text);
  });
});
