/** The list of earlier conversations. */
import type { ApiClient } from "../api-client";
import { h, show } from "../dom";
import { icon } from "../icons";
import type { ThreadMetadata } from "../protocol";
import { NEW_CONVERSATION } from "../texts";

export interface HistoryActions {
  open(threadId: string): void;
  close(): void;
  deleted(threadId: string): void;
  renamed(thread: ThreadMetadata): void;
  error(error: Error): void;
}

const PAGE_SIZE = 25;
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const DAY_MS = 86_400_000;

function dayText(time: string): string {
  const days = Math.round((new Date(time).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / DAY_MS);
  return days > -7 ? RELATIVE.format(days, "day") : new Date(time).toLocaleDateString();
}

export class HistoryPanel {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "threads" });
  private readonly message = h("p", { class: "threads-message", attributes: { role: "status" } });
  private readonly more: HTMLButtonElement;
  private readonly closeButton: HTMLButtonElement;
  private after: string | null = null;
  private current: string | null = null;
  private loading = new AbortController();
  /** What had the focus when the list was opened over it. */
  private opener: Element | null = null;

  constructor(
    private readonly api: () => ApiClient | null,
    private readonly options: () => { showDelete: boolean; showRename: boolean },
    private readonly actions: HistoryActions,
  ) {
    this.more = h("button", { class: "w-button w-ghost w-block", text: "Show more", attributes: { type: "button" }, on: { click: () => void this.load(false) } });
    this.closeButton = h("button", { class: "round plain", attributes: { type: "button", "aria-label": "Close the list" }, on: { click: () => actions.close() } }, icon("close"));
    this.element = h(
      "section",
      { class: "history", attributes: { "aria-label": "Conversations" }, on: { keydown: (event) => (event as KeyboardEvent).key === "Escape" && actions.close() } },
      h("header", {}, h("h2", { text: "Conversations" }), this.closeButton),
      h("div", { class: "threads-scroller" }, this.message, this.list, this.more),
    );
    show(this.element, false);
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  async open(currentThread: string | null): Promise<void> {
    this.current = currentThread;
    this.opener = (this.element.getRootNode() as Document | ShadowRoot).activeElement;
    show(this.element, true);
    this.cover(true);
    this.closeButton.focus();
    await this.load(true);
  }

  close(): void {
    this.loading.abort();
    show(this.element, false);
    this.cover(false);
    (this.opener as HTMLElement | null)?.focus();
  }

  /** What lies under the list is out of reach, but for what is read out. */
  private cover(covered: boolean): void {
    for (const other of this.element.parentElement?.children ?? []) {
      if (other !== this.element && !other.hasAttribute("aria-live")) other.toggleAttribute("inert", covered);
    }
  }

  /** Keeps the focus in the list when what had it has gone. */
  private focusRow(row: Element | null | undefined): void {
    (row?.querySelector<HTMLElement>(".thread-open") ?? this.closeButton).focus();
  }

  private async load(fromStart: boolean): Promise<void> {
    const api = this.api();
    if (api === null) return;
    this.loading.abort();
    const { signal } = (this.loading = new AbortController());
    if (fromStart) this.list.replaceChildren();
    this.say(fromStart ? "Loading…" : null);
    show(this.more, false);
    try {
      const after = fromStart || this.after === null ? {} : { after: this.after };
      const page = await api.call("threads.list", { limit: PAGE_SIZE, order: "desc", ...after }, signal);
      const rows = page.data.map((thread) => this.row(thread));
      this.list.append(...rows);
      if (!fromStart) this.focusRow(rows[0]);
      this.after = page.after;
      show(this.more, page.has_more);
      this.say(this.list.childElementCount === 0 ? "No conversations yet." : null);
    } catch (cause) {
      if (signal.aborted) return;
      if (!fromStart) {
        show(this.more, true);
        this.more.focus();
      }
      this.fail(cause);
    }
  }

  private say(text: string | null): void {
    this.message.textContent = text;
    show(this.message, text !== null);
  }

  private fail(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.say(`That did not work: ${error.message}`);
    this.actions.error(error);
  }

  private row(thread: ThreadMetadata): HTMLElement {
    const { showDelete, showRename } = this.options();
    const title = h("span", { class: "thread-title", text: thread.title || NEW_CONVERSATION });
    const row = h("li", { class: "thread" });
    const open = h(
      "button",
      { class: "thread-open", attributes: { type: "button", "aria-current": thread.id === this.current ? "true" : undefined }, on: { click: () => this.actions.open(thread.id) } },
      title,
      h("span", { class: "thread-time", text: dayText(thread.created_at) }),
    );
    row.append(
      open,
      showRename ? this.tool("write", "Rename", () => this.rename(thread, title, row)) : "",
      showDelete ? this.tool("trash", "Delete", (button) => void this.remove(thread, row, button)) : "",
    );
    return row;
  }

  private tool(iconName: string, label: string, onClick: (button: HTMLButtonElement) => void): HTMLElement {
    const button = h("button", { class: "round plain small", attributes: { type: "button", "aria-label": label, title: label }, on: { click: () => onClick(button) } }, icon(iconName, 15));
    return button;
  }

  private rename(thread: ThreadMetadata, title: HTMLElement, row: HTMLElement): void {
    const input = h("input", { class: "thread-rename", attributes: { "aria-label": "New title", maxlength: "200", value: title.textContent ?? "" } });
    let finished = false;
    const finish = (save: boolean, focused = true) => {
      // Removing the field takes the focus from it, which would finish once more.
      if (finished) return;
      finished = true;
      const text = input.value.trim();
      form.remove();
      row.classList.remove("is-renaming");
      if (focused) this.focusRow(row);
      if (save && text !== "" && text !== title.textContent) void this.saveTitle(thread, title, text);
    };
    const form = h("form", { class: "thread-form", on: { submit: (event) => (event.preventDefault(), finish(true)), focusout: () => finish(true, false) } }, input);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      finish(false);
    });
    row.classList.add("is-renaming");
    row.prepend(form);
    input.select();
    input.focus();
  }

  private async saveTitle(thread: ThreadMetadata, title: HTMLElement, text: string): Promise<void> {
    try {
      await this.api()?.call("threads.update", { thread_id: thread.id, title: text });
      title.textContent = text;
      this.actions.renamed({ ...thread, title: text });
    } catch (cause) {
      this.fail(cause);
    }
  }

  /** The first click asks, the second one deletes. */
  private async remove(thread: ThreadMetadata, row: HTMLElement, button: HTMLButtonElement): Promise<void> {
    if (!row.classList.contains("is-deleting")) {
      row.classList.add("is-deleting");
      button.setAttribute("aria-label", "Delete for good?");
      const disarm = () => {
        row.classList.remove("is-deleting");
        button.setAttribute("aria-label", "Delete");
      };
      button.addEventListener("blur", disarm, { once: true });
      return;
    }
    try {
      await this.api()?.call("threads.delete", { thread_id: thread.id });
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      this.focusRow(next);
      this.actions.deleted(thread.id);
      if (this.list.childElementCount === 0) this.say("No conversations yet.");
    } catch (cause) {
      this.fail(cause);
    }
  }
}
