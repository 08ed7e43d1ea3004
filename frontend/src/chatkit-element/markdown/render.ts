/** Markdown as DOM nodes. No HTML is parsed on the way, so a text cannot bring any. */
import { h } from "../dom";

import { parseBlocks, type Block } from "./blocks";
import { parseInline, type Inline } from "./inline";

const INLINE_TAGS = { strong: "strong", emphasis: "em", deleted: "del" } as const;
const HEADING_TAGS = ["h3", "h4", "h5", "h6", "h6", "h6"] as const;

function inlineNode(node: Inline): Node {
  switch (node.kind) {
    case "text":
      return document.createTextNode(node.text);
    case "code":
      return h("code", { text: node.text });
    case "break":
      return h("br");
    case "link":
      return h("a", { attributes: { href: node.href, target: "_blank", rel: "noopener noreferrer nofollow" } }, ...node.children.map(inlineNode));
    default:
      return h(INLINE_TAGS[node.kind], {}, ...node.children.map(inlineNode));
  }
}

function inline(text: string): Node[] {
  return parseInline(text).map(inlineNode);
}

function codeNode(language: string, text: string): Node {
  return h(
    "figure",
    { class: "code" },
    language !== "" && h("figcaption", { text: language }),
    h("pre", { attributes: { tabindex: "0" } }, h("code", { text })),
  );
}

function itemNode(blocks: readonly Block[]): Node {
  const [first, ...rest] = blocks;
  // The text of a plain item stands in the item itself, without a paragraph's margins.
  if (first?.kind === "paragraph") return h("li", {}, ...inline(first.text), ...rest.map(blockNode));
  return h("li", {}, ...blocks.map(blockNode));
}

function tableNode({ head, align, rows }: Extract<Block, { kind: "table" }>): Node {
  // Cells that a row leaves out are not made up for: a short text could ask for millions.
  const row = (tag: "th" | "td", cells: readonly string[]) =>
    h("tr", {}, ...cells.slice(0, head.length).map((cell, at) => h(tag, { class: align[at] ? `align-${align[at]}` : "" }, ...inline(cell))));
  return h("div", { class: "table" }, h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, ...rows.map((cells) => row("td", cells)))));
}

function blockNode(block: Block): Node {
  switch (block.kind) {
    case "paragraph":
      return h("p", {}, ...inline(block.text));
    case "heading":
      return h(HEADING_TAGS[block.level - 1] ?? "h6", {}, ...inline(block.text));
    case "code":
      return codeNode(block.language, block.text);
    case "quote":
      return h("blockquote", {}, ...block.blocks.map(blockNode));
    case "list":
      return block.start === null
        ? h("ul", {}, ...block.items.map(itemNode))
        : h("ol", { attributes: { start: String(block.start) } }, ...block.items.map(itemNode));
    case "table":
      return tableNode(block);
    case "rule":
      return h("hr");
  }
}

/** The nodes of a Markdown text. */
export function renderMarkdown(text: string): Node[] {
  return parseBlocks(text).map(blockNode);
}
