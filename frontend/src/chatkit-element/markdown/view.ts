/** A Markdown text on the page that grows while it is being written. */
import { h } from "../dom";

import { splitPieces } from "./blocks";
import { renderMarkdown } from "./render";

/**
 * Shows a text and keeps up with it. Blocks that are complete are made once; only the last one, which the
 * next words may still change, is made again.
 */
export class MarkdownView {
  readonly element = h("div", { class: "markdown" });
  private text = "";
  /** How much of the text stands in final nodes. */
  private settled = 0;
  private tail: Node[] = [];

  constructor(text = "") {
    this.set(text);
  }

  /** Shows `text`. Text that continues what is shown costs as much as its last block. */
  set(text: string): void {
    const clean = text.replaceAll("\r", "");
    if (clean === this.text) return;
    if (!clean.startsWith(this.text)) this.clear();
    this.text = clean;
    for (const node of this.tail) node.parentNode?.removeChild(node);
    const pieces = splitPieces(clean.slice(this.settled));
    const last = pieces.pop() ?? "";
    for (const piece of pieces) {
      this.element.append(...renderMarkdown(piece));
      this.settled += piece.length;
    }
    this.tail = renderMarkdown(last);
    this.element.append(...this.tail);
  }

  private clear(): void {
    this.element.replaceChildren();
    this.settled = 0;
    this.tail = [];
  }
}
