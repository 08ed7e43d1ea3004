/** What an empty conversation shows: a greeting and things to say. */
import type { StartScreenOption, UserMessageContent } from "@openai/chatkit";

import { h, show } from "../dom";
import { icon } from "../icons";

const DEFAULT_GREETING = "What can I help with today?";

export class StartScreen {
  readonly element = h("div", { class: "start" });
  private drawn = "";

  constructor(private readonly choose: (prompt: string | UserMessageContent[]) => void) {}

  update(options: StartScreenOption | undefined, visible: boolean): void {
    show(this.element, visible);
    const key = JSON.stringify(options ?? {});
    if (key === this.drawn) return;
    this.drawn = key;
    const prompts = (options?.prompts ?? []).map((prompt) =>
      h(
        "button",
        { class: "prompt", attributes: { type: "button" }, on: { click: () => this.choose(prompt.prompt) } },
        prompt.icon !== undefined && icon(prompt.icon, 17),
        h("span", { text: prompt.label }),
      ),
    );
    this.element.replaceChildren(h("h2", { text: options?.greeting ?? DEFAULT_GREETING }), h("div", { class: "prompts" }, ...prompts));
  }
}
