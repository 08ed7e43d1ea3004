/** The field that messages are written in. */
import { h, show } from "../dom";
import { icon } from "../icons";

export interface ComposerActions {
  send(text: string): void;
  stop(): void;
}

export type ComposerMode = "ready" | "blocked" | "stoppable" | "stopping";

const MAX_HEIGHT_PX = 200;

export class Composer {
  readonly element: HTMLFormElement;
  private readonly input: HTMLTextAreaElement;
  private readonly sendButton: HTMLButtonElement;
  private readonly stopButton: HTMLButtonElement;
  private busy = false;

  constructor(private readonly actions: ComposerActions) {
    this.input = h("textarea", {
      attributes: { rows: "1", name: "message", "aria-label": "Message", autocomplete: "off" },
      on: { input: () => this.fit(), keydown: (event) => this.onKey(event as KeyboardEvent) },
    });
    this.sendButton = h("button", { class: "round send", attributes: { type: "submit", "aria-label": "Send" } }, icon("arrow-up", 18));
    this.stopButton = h("button", { class: "round stop", attributes: { type: "button", "aria-label": "Stop" }, on: { click: () => actions.stop() } }, icon("stop", 14));
    this.element = h("form", { class: "composer", on: { submit: (event) => this.onSubmit(event), click: (event) => this.onClick(event) } }, this.input, this.sendButton, this.stopButton);
    this.setMode("ready");
  }

  get value(): string {
    return this.input.value;
  }

  set value(text: string) {
    this.input.value = text;
    this.fit();
  }

  setPlaceholder(text: string): void {
    this.input.placeholder = text;
  }

  /** While an answer is being made nothing can be sent, and it can be stopped once. */
  setMode(mode: ComposerMode): void {
    const stops = mode === "stoppable" || mode === "stopping";
    this.busy = mode !== "ready";
    show(this.sendButton, !stops);
    show(this.stopButton, stops);
    this.stopButton.disabled = mode === "stopping";
    this.updateSend();
  }

  focus(): void {
    this.input.focus();
  }

  private updateSend(): void {
    this.sendButton.disabled = this.busy || this.input.value.trim() === "";
  }

  private fit(): void {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, MAX_HEIGHT_PX)}px`;
    this.updateSend();
  }

  private onKey(event: KeyboardEvent): void {
    // While an input method composes a character, Enter chooses it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.submit();
  }

  private onSubmit(event: Event): void {
    event.preventDefault();
    this.submit();
  }

  private onClick(event: Event): void {
    if (event.target === this.element) this.focus();
  }

  private submit(): void {
    const text = this.input.value.trim();
    if (this.busy || text === "") return;
    this.value = "";
    this.actions.send(text);
  }
}
