/** The blocks of a Markdown text: the part of CommonMark (and GFM's tables) that answers are written in. */

export type Alignment = "left" | "center" | "right" | null;

export type Block =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "quote"; readonly blocks: readonly Block[] }
  | { readonly kind: "list"; readonly start: number | null; readonly items: readonly (readonly Block[])[] }
  | { readonly kind: "table"; readonly align: readonly Alignment[]; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: "rule" };

// Each takes a time that grows with the line, not with its square: answers have lines of any length.
const FENCE = /^ {0,3}(`{3,}|~{3,}(?!~))([^`]*)$/;
const ANY_FENCE = /^\s*(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:\s(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const MARKER = /^( {0,3})([-*+]|(\d{1,9})[.)])(?:( +)(?=\S)|\s*$)/;
const DIVIDER_CELL = /^:?-+:?$/;
const MAX_DEPTH = 8;

/**
 * Splits a text where one block has ended for certain, whatever follows. Joined they give the text back.
 *
 * The last piece is the one that more text may still change; the pieces before it are final.
 */
export function splitPieces(text: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  let fence: string | null = null;
  let blank = false;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    // The last line is not whole yet: what it begins cannot be told.
    if (end === -1) break;
    const line = text.slice(at, end);
    const isBlank = line.trim() === "";
    if (fence === null && blank && !isBlank && at > start && startsPiece(line, text.slice(start, at))) {
      pieces.push(text.slice(start, at));
      start = at;
    }
    fence = fenceAfter(fence, line);
    blank = isBlank;
    at = end + 1;
  }
  if (start < text.length) pieces.push(text.slice(start));
  return pieces;
}

function startsPiece(line: string, before: string): boolean {
  if (/^\s/.test(line)) return false;
  return !(MARKER.test(line) && MARKER.test(before.slice(0, before.indexOf("\n"))));
}

function fenceAfter(fence: string | null, line: string): string | null {
  const mark = ANY_FENCE.exec(line)?.[1];
  if (mark === undefined) return fence;
  if (fence === null) return mark;
  const closes = mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark;
  return closes ? null : fence;
}

/** The blocks of one text. */
export function parseBlocks(text: string): Block[] {
  return splitPieces(text).flatMap((piece) => new BlockReader(piece.split("\n"), 0).read());
}

class BlockReader {
  private at = 0;

  constructor(
    private readonly lines: readonly string[],
    private readonly depth: number,
  ) {}

  read(): Block[] {
    const blocks: Block[] = [];
    while (this.at < this.lines.length) {
      if (this.line().trim() === "") this.at += 1;
      else blocks.push(this.block());
    }
    return blocks;
  }

  private line(offset = 0): string {
    return this.lines[this.at + offset] ?? "";
  }

  private nested(lines: readonly string[]): Block[] {
    if (this.depth >= MAX_DEPTH) return [{ kind: "paragraph", text: lines.join("\n") }];
    return new BlockReader(lines, this.depth + 1).read();
  }

  private block(): Block {
    const line = this.line();
    const heading = HEADING.exec(line);
    if (heading) {
      this.at += 1;
      return { kind: "heading", level: heading[1]?.length ?? 1, text: headingText(heading[2] ?? "") };
    }
    if (FENCE.test(line)) return this.code();
    if (RULE.test(line)) {
      this.at += 1;
      return { kind: "rule" };
    }
    if (QUOTE.test(line)) return this.quote();
    if (MARKER.test(line)) return this.list();
    if (line.includes("|") && cells(this.line(1)).every((cell) => DIVIDER_CELL.test(cell))) return this.table();
    return this.paragraph();
  }

  private code(): Block {
    const [, mark = "```", language = ""] = FENCE.exec(this.line()) ?? [];
    const text: string[] = [];
    this.at += 1;
    while (this.at < this.lines.length) {
      const line = this.line();
      this.at += 1;
      if (fenceAfter(mark, line) === null) break;
      text.push(line);
    }
    return { kind: "code", language: language.trim().split(/\s/)[0] ?? "", text: text.join("\n") };
  }

  private quote(): Block {
    const inner: string[] = [];
    while (this.at < this.lines.length && QUOTE.test(this.line())) {
      inner.push(this.line().replace(QUOTE, ""));
      this.at += 1;
    }
    return { kind: "quote", blocks: this.nested(inner) };
  }

  private list(): Block {
    const first = MARKER.exec(this.line());
    const ordered = first?.[3] !== undefined;
    const items: Block[][] = [];
    for (;;) {
      const marker = MARKER.exec(this.line());
      if (!marker || (marker[3] !== undefined) !== ordered || RULE.test(this.line())) break;
      items.push(this.nested(this.listItem(marker)));
    }
    return { kind: "list", start: ordered ? Number(first?.[3]) : null, items };
  }

  /** The lines of one item without its indentation; blank lines belong to it when indented text follows. */
  private listItem(marker: RegExpExecArray): string[] {
    const indent = marker[0].length;
    const lines = [this.line().slice(indent)];
    this.at += 1;
    while (this.at < this.lines.length) {
      const line = this.line();
      const blank = line.trim() === "";
      const own = line.length - line.trimStart().length;
      const nextText = blank ? this.nextText() : null;
      if (blank && (nextText === null || nextText.length - nextText.trimStart().length < Math.min(indent, 2))) break;
      if (!blank && own < Math.min(indent, 2) && this.startsBlock(line)) break;
      lines.push(blank ? "" : line.slice(Math.min(own, indent)));
      this.at += 1;
    }
    // A list whose items are apart by blank lines goes on after them.
    const next = this.nextText();
    if (next !== null && MARKER.test(next)) while (this.line().trim() === "") this.at += 1;
    return lines;
  }

  private nextText(): string | null {
    for (let at = this.at; at < this.lines.length; at += 1) {
      const line = this.lines[at] ?? "";
      if (line.trim() !== "") return line;
    }
    return null;
  }

  private table(): Block {
    const head = cells(this.line());
    const align = cells(this.line(1)).map(alignment);
    const rows: string[][] = [];
    this.at += 2;
    while (this.at < this.lines.length && this.line().includes("|")) {
      rows.push(cells(this.line()));
      this.at += 1;
    }
    return { kind: "table", align, head, rows };
  }

  private paragraph(): Block {
    const text = [this.line().trimStart()];
    this.at += 1;
    while (this.at < this.lines.length && this.line().trim() !== "" && !this.startsBlock(this.line())) {
      text.push(this.line().trimStart());
      this.at += 1;
    }
    return { kind: "paragraph", text: text.join("\n").trimEnd() };
  }

  private startsBlock(line: string): boolean {
    return HEADING.test(line) || FENCE.test(line) || RULE.test(line) || QUOTE.test(line) || MARKER.test(line);
  }
}

/** A heading's text without the marks that may close it. */
function headingText(rest: string): string {
  const text = rest.trim();
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  return end === 0 || /\s/.test(text[end - 1] ?? "") ? text.slice(0, end).trimEnd() : text;
}

function cells(line: string): string[] {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function alignment(cell: string): Alignment {
  const left = cell.startsWith(":");
  const right = cell.endsWith(":");
  return left && right ? "center" : right ? "right" : left ? "left" : null;
}
