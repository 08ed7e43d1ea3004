/** The frame of the element: header, conversation, composer, and the list of conversations over them. */
import type { ChatKitOptions, UserMessageContent } from "@openai/chatkit";

import type { ApiClient } from "../api-client";
import { h, show } from "../dom";
import { icon } from "../icons";
import { renderMarkdown } from "../markdown/render";
import type { ThreadMetadata } from "../protocol";
import { isBusy, type ThreadState } from "../reducer";
import { DEFAULT_PLACEHOLDER, NEW_CONVERSATION } from "../texts";

import { Composer, type ComposerMode } from "./composer";
import { ConversationView, type ConversationActions } from "./conversation-view";
import { HistoryPanel } from "./history-panel";
import { StartScreen } from "./start-screen";

export interface ShellActions extends ConversationActions {
  send(text: string): void;
  sendPrompt(prompt: string | UserMessageContent[]): void;
  stop(): void;
  openThread(threadId: string): void;
  deletedThread(threadId: string): void;
  renamedThread(thread: ThreadMetadata): void;
  showHistory(): void;
  hideHistory(): void;
  error(error: Error): void;
  api(): ApiClient | null;
  options(): ChatKitOptions | null;
}

function composerMode(state: ThreadState): ComposerMode {
  if (!isBusy(state)) return "ready";
  if (state.activity === "stopping") return "stopping";
  return state.activity !== "loading" && state.allowCancel ? "stoppable" : "blocked";
}

export class Shell {
  readonly element: HTMLElement;
  readonly composer: Composer;
  readonly history: HistoryPanel;
  private readonly conversation: ConversationView;
  private readonly start: StartScreen;
  private readonly header: HTMLElement;
  private readonly title = h("h2", { class: "title" });
  private readonly historyButton: HTMLButtonElement;
  private readonly newButton: HTMLButtonElement;
  private readonly disclaimer = h("div", { class: "disclaimer markdown" });
  private readonly live = h("div", { class: "sr-only", attributes: { "aria-live": "polite" } });
  private disclaimerText = "";

  constructor(actions: ShellActions) {
    this.composer = new Composer(actions);
    this.conversation = new ConversationView(actions);
    this.start = new StartScreen((prompt) => actions.sendPrompt(prompt));
    this.history = new HistoryPanel(
      () => actions.api(),
      () => ({ showDelete: actions.options()?.history?.showDelete ?? true, showRename: actions.options()?.history?.showRename ?? true }),
      {
        open: (threadId) => actions.openThread(threadId),
        close: () => actions.hideHistory(),
        deleted: (threadId) => actions.deletedThread(threadId),
        renamed: (thread) => actions.renamedThread(thread),
        error: (error) => actions.error(error),
      },
    );
    this.historyButton = h("button", { class: "round plain", attributes: { type: "button", "aria-label": "Conversations", title: "Conversations" }, on: { click: () => actions.showHistory() } }, icon("history"));
    this.newButton = h("button", { class: "round plain", attributes: { type: "button", "aria-label": "New chat", title: "New chat" }, on: { click: () => actions.startNew() } }, icon("write-alt"));
    this.header = h("header", { class: "header" }, this.historyButton, this.title, this.newButton);
    const foot = h("div", { class: "foot" }, this.composer.element, this.disclaimer);
    this.element = h("div", { class: "shell" }, this.header, this.start.element, this.conversation.element, foot, this.history.element, this.live);
  }

  /** Shows `state` as `options` want it. */
  update(state: ThreadState, options: ChatKitOptions): void {
    const empty = state.thread === null && state.pending === null && state.items.length === 0 && state.activity === "idle" && state.failure === null;
    this.updateHeader(state, options);
    this.start.update(options.startScreen, empty);
    show(this.conversation.element, !empty);
    this.conversation.update(state);
    this.element.classList.toggle("is-empty", empty);
    this.composer.setMode(composerMode(state));
    this.composer.setPlaceholder(options.composer?.placeholder ?? DEFAULT_PLACEHOLDER);
    this.updateDisclaimer(options);
  }

  /** Reads the finished answer to those who do not see it being written. */
  announce(state: ThreadState): void {
    const last = state.items.at(-1);
    if (state.failure !== null) this.live.textContent = state.failure.message;
    else if (last?.type === "assistant_message") this.live.textContent = last.content.map(({ text }) => text).join(" ");
  }

  private updateHeader(state: ThreadState, { header, history }: ChatKitOptions): void {
    show(this.header, header?.enabled !== false);
    show(this.historyButton, history?.enabled !== false);
    show(this.newButton, state.thread !== null || state.items.length > 0);
    const title = header?.title?.text ?? (state.thread === null ? "" : state.thread.title || NEW_CONVERSATION);
    if (this.title.textContent !== title) this.title.textContent = title;
    this.title.classList.toggle("sr-only", header?.title?.enabled === false);
  }

  private updateDisclaimer({ disclaimer }: ChatKitOptions): void {
    const text = disclaimer?.text ?? "";
    if (text === this.disclaimerText) return;
    this.disclaimerText = text;
    this.disclaimer.replaceChildren(...renderMarkdown(text));
    this.disclaimer.classList.toggle("is-strong", disclaimer?.highContrast === true);
  }
}
