// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { ApiClient } from "../api-client";

import { HistoryPanel } from "./history-panel";

const AT = "2026-01-01T00:00:00Z";
const nothing = () => undefined;

/** The names of what has the focus, and of where it is. */
function focused(): string | undefined {
  const element = document.activeElement;
  return element?.getAttribute("aria-label") ?? element?.querySelector(":scope > .thread-title")?.textContent ?? element?.tagName;
}

describe("the list of conversations by keyboard", () => {
  let panel: HistoryPanel;
  let composer: HTMLElement;
  let opener: HTMLButtonElement;
  let broken: boolean;

  function press(row: number, name: string): void {
    const button = panel.element.querySelectorAll(".thread").item(row).querySelector<HTMLButtonElement>(`[title=${name}]`);
    button?.focus();
    button?.click();
  }

  beforeEach(async () => {
    const first = { data: ["a", "b"].map((id) => ({ id, title: id, created_at: AT })), has_more: true, after: "b" };
    const second = { data: [{ id: "c", title: "c", created_at: AT }], has_more: false, after: null };
    broken = false;
    const answer = (type: string, after?: string) => (type === "threads.list" ? (after ? second : first) : {});
    const api = { call: async (type: string, { after }: { after?: string }) => (broken ? Promise.reject(new Error("Not now.")) : answer(type, after)) };
    panel = new HistoryPanel(() => api as unknown as ApiClient, () => ({ showDelete: true, showRename: true }), { open: nothing, close: () => panel.close(), deleted: nothing, renamed: nothing, error: nothing });
    opener = document.createElement("button");
    opener.setAttribute("aria-label", "Conversations");
    composer = document.createElement("form");
    document.body.replaceChildren(opener, composer, panel.element);
    opener.focus();
    await panel.open(null);
  });

  afterEach(() => document.body.replaceChildren());

  it("covers what lies under it, and gives the focus back", () => {
    expect([focused(), composer.hasAttribute("inert")]).toEqual(["Close the list", true]);
    panel.element.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect([focused(), composer.hasAttribute("inert")]).toEqual(["Conversations", false]);
  });

  it("goes on at the next conversation after one was deleted", async () => {
    press(0, "Delete");
    press(0, "Delete");
    await expect.poll(focused).toBe("b");
  });

  it("asks once more before it deletes what had lost the focus meanwhile", () => {
    press(0, "Delete");
    expect(focused()).toBe("Delete for good?");
    opener.focus();
    panel.element.querySelector<HTMLButtonElement>("[title=Delete]")?.focus();
    expect(focused()).toBe("Delete");
  });

  it("can be asked for more again after that has failed", async () => {
    const more = panel.element.querySelector<HTMLButtonElement>(".w-block");
    broken = true;
    more?.focus();
    more?.click();
    await expect.poll(() => panel.element.textContent).toContain("Not now.");
    expect([more?.hidden, document.activeElement]).toEqual([false, more]);
    broken = false;
    more?.click();
    await expect.poll(focused).toBe("c");
  });

  it("stays at a conversation that was renamed", async () => {
    press(1, "Rename");
    panel.element.querySelector("form")?.requestSubmit();
    expect(focused()).toBe("b");
  });

  it("goes on at the first one of those that were added", async () => {
    panel.element.querySelector<HTMLButtonElement>(".w-block")?.click();
    await expect.poll(focused).toBe("c");
  });
});
