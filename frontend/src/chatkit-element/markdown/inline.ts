/** The text inside a block: emphasis, code, links, line breaks. */

export type Inline =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly text: string }
  | { readonly kind: "strong" | "emphasis" | "deleted"; readonly children: readonly Inline[] }
  | { readonly kind: "link"; readonly href: string; readonly children: readonly Inline[] }
  | { readonly kind: "break" };

const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:", "tel:"]);
const MAX_DEPTH = 6;
/** Nested marks cost more than their length; a longer text is shown as it is. */
const MAX_LENGTH = 50_000;

const ESCAPE = /^\\([!-/:-@[-`{-~])/;
const LINK = /^!?\[((?:[^[\]\\]|\\.|\[[^[\]]*\])*)\]\(\s*<?((?:[^\s()<>]|\([^\s()<>]*\))*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/;
const AUTOLINK = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/;
const BARE_URL = /^https?:\/\/[^\s<>]*[^\s<>.,:;!?'")\]*_~]/;
// More blanks than these are text: a long run would be looked through from each of them.
const BREAK = /^(?: {0,100}|\\)\n/;
const DELIMITERS = [
  { mark: "**", kind: "strong" },
  { mark: "__", kind: "strong" },
  { mark: "~~", kind: "deleted" },
  { mark: "*", kind: "emphasis" },
  { mark: "_", kind: "emphasis" },
] as const;
/** Characters at which something other than plain text can begin. */
const SPECIAL = /[\\`!\[<*_~\n h]/;

/** The address if a link may lead there, else null: no scripts, no data, nothing relative to this page. */
export function safeHref(address: string): string | null {
  if (!URL.canParse(address)) return null;
  const url = new URL(address);
  return SAFE_PROTOCOLS.has(url.protocol) ? url.href : null;
}

interface Match {
  readonly length: number;
  readonly node: Inline;
}

function link(matched: string, label: string, address: string, depth: number): Match {
  const href = safeHref(address);
  const children = parseInline(label.replaceAll(/\\([[\]\\])/g, "$1"), depth + 1);
  if (href === null) return { length: matched.length, node: { kind: "text", text: label || address } };
  return { length: matched.length, node: { kind: "link", href, children: label ? children : [{ kind: "text", text: address }] } };
}

function isWord(char: string | undefined): boolean {
  return char !== undefined && /[\p{L}\p{N}]/u.test(char);
}

/** Code between runs of equally many backticks; a run that nothing closes is text. */
function code(text: string): Match {
  const mark = /^`+/.exec(text)?.[0] ?? "`";
  const runs = /`+/g;
  runs.lastIndex = mark.length;
  for (let run = runs.exec(text); run !== null; run = runs.exec(text)) {
    if (run[0].length !== mark.length) continue;
    const inner = text.slice(mark.length, run.index).replaceAll("\n", " ");
    const padded = inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
    const stripped = padded ? inner.slice(1, -1) : inner;
    return { length: run.index + mark.length, node: { kind: "code", text: stripped } };
  }
  return { length: mark.length, node: { kind: "text", text: mark } };
}

/** Marks of one text that nothing closes any more: looking again would find nothing again. */
type Exhausted = Set<string>;

function delimited(text: string, before: string | undefined, depth: number, exhausted: Exhausted): Match | null {
  for (const { mark, kind } of DELIMITERS) {
    if (!text.startsWith(mark) || exhausted.has(mark)) continue;
    if (mark[0] === "_" && isWord(before)) return null;
    if (text.length === mark.length || /^\s/.test(text.slice(mark.length, mark.length + 1))) continue;
    const end = closing(text, mark);
    if (end === null) exhausted.add(mark);
    else return { length: end + mark.length, node: { kind, children: parseInline(text.slice(mark.length, end), depth + 1) } };
  }
  return null;
}

/** Where the delimiter closes: not after a blank, and an underscore not inside a word. */
function closing(text: string, mark: string): number | null {
  for (let at = text.indexOf(mark, mark.length + 1); at !== -1; at = text.indexOf(mark, at + 1)) {
    const previous = text[at - 1];
    const next = text[at + mark.length];
    if (previous === undefined || /[\s\\]/.test(previous)) continue;
    if (mark.length === 1 && (next === mark || previous === mark)) continue;
    if (mark[0] === "_" && isWord(next)) continue;
    return at;
  }
  return null;
}

function match(text: string, before: string | undefined, depth: number, exhausted: Exhausted): Match | null {
  const escape = ESCAPE.exec(text);
  if (escape) return { length: 2, node: { kind: "text", text: escape[1] ?? "" } };
  if (text.startsWith("`")) return code(text);
  const target = LINK.exec(text);
  // A picture of somebody's choosing would tell them that it was read: it becomes a link.
  if (target) return link(target[0], target[1] ?? "", target[2] ?? "", depth);
  const auto = AUTOLINK.exec(text);
  if (auto) return link(auto[0], "", auto[1] ?? "", depth);
  const bare = isWord(before) ? null : BARE_URL.exec(text);
  if (bare) return link(bare[0], "", bare[0], depth);
  const lineBreak = BREAK.exec(text);
  if (lineBreak) return { length: lineBreak[0].length, node: { kind: "break" } };
  return depth < MAX_DEPTH ? delimited(text, before, depth, exhausted) : null;
}

/** The inline nodes of a text. */
export function parseInline(text: string, depth = 0): Inline[] {
  if (text.length > MAX_LENGTH) return [{ kind: "text", text }];
  const nodes: Inline[] = [];
  const exhausted: Exhausted = new Set();
  let plain = "";
  const flush = () => {
    if (plain !== "") nodes.push({ kind: "text", text: plain });
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    const found = SPECIAL.test(text[at] ?? "") ? match(text.slice(at), text[at - 1], depth, exhausted) : null;
    if (found === null) {
      plain += text[at];
      at += 1;
    } else if (found.node.kind === "text") {
      plain += found.node.text;
      at += found.length;
    } else {
      flush();
      nodes.push(found.node);
      at += found.length;
    }
  }
  flush();
  return nodes;
}
