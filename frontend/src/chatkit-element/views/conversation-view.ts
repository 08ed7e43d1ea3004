/** The conversation on the page: items, what is going on, and what went wrong. */
import { arrange, h, show } from "../dom";
import { icon } from "../icons";
import { renderMarkdown } from "../markdown/render";
import type { ThreadItem } from "../protocol";
import { PENDING_ID, type Failure, type Notice, type ThreadState } from "../reducer";

import { createItemView, type ItemContext, type ItemView } from "./items";

export interface ConversationActions extends ItemContext {
  retry(): void;
  startNew(): void;
  loadOlder(): void;
}

const STICK_PX = 96;
const LOAD_OLDER_PX = 120;

function activityText(state: ThreadState): string | null {
  switch (state.activity) {
    case "reconnecting":
      return "Connection lost. Reconnecting…";
    case "waiting":
      return "Still working on the answer…";
    case "stopping":
      return "Stopping…";
    case "streaming": {
      const last = state.items.at(-1);
      const open = last !== undefined && state.open.has(last.id);
      // Words that are being written, and a step that is under way, speak for themselves.
      const visible = open && (last.type !== "assistant_message" || last.content.some(({ text }) => text !== ""));
      return visible ? state.progress : (state.progress ?? "Thinking…");
    }
    default:
      return null;
  }
}

export class ConversationView {
  readonly element: HTMLElement;
  private readonly list = h("ol", { class: "items" });
  private readonly older: HTMLElement;
  private readonly loading = h("div", { class: "loading", attributes: { role: "status" } }, h("span", { class: "sr-only", text: "Loading the conversation" }), h("i"), h("i"), h("i"));
  private readonly activity = h("div", { class: "activity", attributes: { "data-testid": "activity", role: "status" } });
  private readonly activityLabel = h("span", { class: "shimmer" });
  private readonly notices = h("div", { class: "notices" });
  private readonly failure = h("div", { class: "failure", attributes: { role: "alert" } });
  private readonly latest: HTMLButtonElement;
  private readonly views = new Map<string, { view: ItemView; item: ThreadItem }>();
  private readonly scroller: HTMLElement;
  private shown: ThreadState | null = null;
  private sticks = true;

  constructor(private readonly actions: ConversationActions) {
    this.older = h("button", { class: "older", text: "Show earlier messages", attributes: { type: "button" }, on: { click: () => actions.loadOlder() } });
    this.activity.append(h("span", { class: "pulse", attributes: { "aria-hidden": "true" } }), this.activityLabel);
    this.latest = h("button", { class: "latest", attributes: { type: "button", "aria-label": "Go to the latest message" }, on: { click: () => this.toLatest() } }, icon("arrow-down", 16));
    const column = h("div", { class: "column" }, this.older, this.loading, this.list, this.activity, this.notices, this.failure);
    this.scroller = h("div", { class: "scroller", attributes: { tabindex: "0", role: "region", "aria-label": "Conversation" }, on: { scroll: () => this.onScroll() } }, column);
    this.element = h("div", { class: "conversation" }, this.scroller, this.latest);
    show(this.latest, false);
  }

  /** Shows `state`. Only what has changed since the last time is touched. */
  update(state: ThreadState): void {
    const before = this.shown;
    this.shown = state;
    const sent = state.pending !== null && state.pending !== before?.pending;
    const fresh = before?.thread?.id !== state.thread?.id || before?.activity === "loading";
    const grewAbove = before !== null && before.items[0]?.id !== state.items[0]?.id && before.items.length > 0 && !fresh;
    const { scrollHeight, scrollTop } = this.scroller;
    this.updateItems(state);
    this.updateActivity(state);
    if (state.notices !== before?.notices) this.updateNotices(state.notices);
    if (state.failure !== before?.failure) this.updateFailure(state.failure);
    if (sent || (fresh && state.items.length > 0)) this.sticks = true;
    if (this.sticks) this.toLatest();
    else if (grewAbove) this.scroller.scrollTop = scrollTop + (this.scroller.scrollHeight - scrollHeight);
    this.updateLatest();
  }

  private updateItems(state: ThreadState): void {
    const shown = state.pending === null ? state.items : [...state.items, state.pending];
    const ids = new Set(shown.map(({ id }) => id));
    for (const id of this.views.keys()) if (!ids.has(id)) this.views.delete(id);
    const elements = shown.map((item) => this.itemElement(item));
    arrange(this.list, elements);
    this.views.get(PENDING_ID)?.view.element.classList.toggle("is-pending", state.failure === null);
    show(this.list, shown.length > 0);
    show(this.older, state.olderAfter !== null);
  }

  private itemElement(item: ThreadItem): HTMLElement {
    let entry = this.views.get(item.id);
    if (!entry || entry.item.type !== item.type) {
      entry = { view: createItemView(item, this.actions), item };
      entry.view.element.dataset["itemId"] = item.id;
      entry.view.update(item);
      this.views.set(item.id, entry);
    } else if (entry.item !== item) {
      entry.item = item;
      entry.view.update(item);
    }
    return entry.view.element;
  }

  private updateActivity(state: ThreadState): void {
    show(this.loading, state.activity === "loading");
    const text = activityText(state);
    show(this.activity, text !== null);
    if (text !== null && this.activityLabel.textContent !== text) this.activityLabel.textContent = text;
    this.activity.dataset["kind"] = state.activity;
  }

  private updateNotices(notices: readonly Notice[]): void {
    this.notices.replaceChildren(
      ...notices.map(({ level, title, message }) =>
        h(
          "div",
          { class: "notice", attributes: { "data-level": level, role: "status" } },
          icon(level === "info" ? "info" : "warning", 16),
          h("div", { class: "markdown" }, title !== null && h("strong", { text: title }), ...renderMarkdown(message)),
        ),
      ),
    );
  }

  private updateFailure(failure: Failure | null): void {
    show(this.failure, failure !== null);
    if (failure === null) return this.failure.replaceChildren();
    const action = failure.allowRetry
      ? h("button", { class: "w-button w-outline", attributes: { type: "button" }, on: { click: () => this.actions.retry() } }, icon("reload", 14), "Retry")
      : h("button", { class: "w-button w-outline", text: "New chat", attributes: { type: "button" }, on: { click: () => this.actions.startNew() } });
    this.failure.replaceChildren(icon("failure", 16), h("p", { text: failure.message }), action);
  }

  private toLatest(): void {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  private distance(): number {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  private onScroll(): void {
    this.sticks = this.distance() < STICK_PX;
    this.updateLatest();
    if (this.scroller.scrollTop < LOAD_OLDER_PX && this.shown?.olderAfter) this.actions.loadOlder();
  }

  private updateLatest(): void {
    show(this.latest, this.distance() > STICK_PX * 2);
  }
}
