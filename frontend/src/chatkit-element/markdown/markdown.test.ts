// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import { splitPieces } from "./blocks";
import { safeHref } from "./inline";
import { renderMarkdown } from "./render";
import { MarkdownView } from "./view";

function html(text: string): string {
  const host = document.createElement("div");
  host.append(...renderMarkdown(text));
  return host.innerHTML;
}

const SAMPLE = `## Plan

A *short* plan with \`code\`, **bold _and nested_ text**, ~~old~~ and a [link](https://example.com/a_(b)).
Second line.

1. First
   - nested
   - list

   a paragraph of the first
2. Second

- [x] loose

- list

\`\`\`python
def f():

    return "- not a list"
\`\`\`

| Task | State |
|:---|---:|
| Milk | **done** |
| a \\| b | open |

> A quote
> - with a list

---
The end.`;

describe("Markdown", () => {
  it.each([
    ["plain", "<p>plain</p>"],
    ["# Title #", "<h3>Title</h3>"],
    ["## C# ##  ", "<h4>C#</h4>"],
    ["#", "<h3></h3>"],
    ["#no title", "<p>#no title</p>"],
    ["a | b\n  :-- | -- \n1", '<div class="table"><table><thead><tr><th class="align-left">a</th><th>b</th></tr></thead><tbody></tbody></table></div><p>1</p>'],
    ["a | b\n-- | x", "<p>a | b<br>-- | x</p>"],
    ["a\nb", "<p>a<br>b</p>"],
    ["**a** *b* __c__ _d_ ~~e~~", "<p><strong>a</strong> <em>b</em> <strong>c</strong> <em>d</em> <del>e</del></p>"],
    ["snake_case_name and 2 * 3 * 4", "<p>snake_case_name and 2 * 3 * 4</p>"],
    ["`a **b**`", "<p><code>a **b**</code></p>"],
    ["- a\n- b", "<ul><li>a</li><li>b</li></ul>"],
    ["3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'],
    ["- a\n\n- b", "<ul><li>a</li><li>b</li></ul>"],
    ["- a\n  - b\n- c", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"],
    ["text\n- a", "<p>text</p><ul><li>a</li></ul>"],
    ["> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"],
    ["***", "<hr>"],
    ["\\*a\\*", "<p>*a*</p>"],
  ])("%j", (text, expected) => {
    expect(html(text)).toBe(expected);
  });

  it("keeps code as it is", () => {
    expect(html("```js\nif (a < b) {\n\n  x();\n}\n```")).toBe('<figure class="code"><figcaption>js</figcaption><pre tabindex="0"><code>if (a &lt; b) {\n\n  x();\n}</code></pre></figure>');
  });

  it("shows tables", () => {
    const host = document.createElement("div");
    host.append(...renderMarkdown("| a | b |\n|---|--:|\n| 1 | 2 \\| 3 |"));
    expect([...host.querySelectorAll("th")].map((cell) => cell.textContent)).toEqual(["a", "b"]);
    expect([...host.querySelectorAll("td")].map((cell) => cell.textContent)).toEqual(["1", "2 | 3"]);
    expect(host.querySelector("td:last-child")?.className).toBe("align-right");
  });
});

describe("untrusted text", () => {
  it.each([
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<!-- --><b>bold</b>",
    "```html\n<script>alert(1)</script>\n```",
    "| <img src=x> |\n|---|\n| <svg onload=alert(1)> |",
  ])("brings no elements of its own: %s", (text) => {
    const host = document.createElement("div");
    host.append(...renderMarkdown(text));
    expect(host.querySelector("script, img, svg, b")).toBeNull();
  });

  it.each(["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "/relative", "//host", "file:///etc/passwd"])("does not link to %s", (address) => {
    expect(safeHref(address)).toBeNull();
    expect(html(`[click](${address})`)).not.toContain("<a");
  });

  it("links safely", () => {
    expect(html("[a](https://example.com 'title') <https://b.example> https://c.example/x.")).toBe(
      '<p><a href="https://example.com/" target="_blank" rel="noopener noreferrer nofollow">a</a> ' +
        '<a href="https://b.example/" target="_blank" rel="noopener noreferrer nofollow">https://b.example</a> ' +
        '<a href="https://c.example/x" target="_blank" rel="noopener noreferrer nofollow">https://c.example/x</a>.</p>',
    );
  });

  it("does not load pictures", () => {
    expect(html("![tracker](https://evil.example/pixel.png)")).not.toContain("<img");
  });

  it("takes a bounded time for marks that never close", () => {
    const started = performance.now();
    for (const mark of ["*", "_", "`", "[", "**a ", "a**b ", "`a``b", "[a](", "<https://", "> ", "- "]) html(mark.repeat(20_000 / mark.length));
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it.each([
    ["a heading", (blanks: string) => `# a${blanks}x`],
    ["a fence", (blanks: string) => `~~~${blanks}\``],
    ["a fence of tildes", (blanks: string) => `${blanks.replaceAll(" ", "~")}\``],
    ["a table's second line", (blanks: string) => `a|b\n-${blanks}x`],
    ["a paragraph", (blanks: string) => `a${blanks.slice(1_000)}x`],
    ["code", (blanks: string) => `\` ${blanks.slice(1_000).replaceAll(" ", "a")}\``],
  ])("takes a bounded time for a long line: %s", (_, line) => {
    const text = line(" ".repeat(50_000));
    const started = performance.now();
    html(text);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("has no more cells than it names", () => {
    expect(html(`${"|a".repeat(300)}\n${"|-".repeat(300)}\n${"|b\n".repeat(300)}`).match(/<td/g)).toHaveLength(300);
  });
});

describe("a growing text", () => {
  it("gives its pieces back whole", () => {
    expect(splitPieces(SAMPLE).join("")).toBe(SAMPLE);
    expect(splitPieces(SAMPLE).length).toBeGreaterThan(4);
  });

  it("looks at each moment like the text so far, whatever the steps", () => {
    for (const step of [1, 2, 3, 7, 50]) {
      const view = new MarkdownView();
      for (let end = step; end < SAMPLE.length + step; end += step) {
        const text = SAMPLE.slice(0, end);
        view.set(text);
        expect(view.element.innerHTML, `step ${step}, ${text.length} characters`).toBe(html(text));
      }
    }
  });

  it("does not make finished blocks again", () => {
    const view = new MarkdownView("First paragraph.\n\nSecond one.\n\nThird\n");
    const [first, second, third] = [...view.element.children];
    view.set("First paragraph.\n\nSecond one.\n\nThird\none grows");
    expect(view.element.children[0]).toBe(first);
    expect(view.element.children[1]).toBe(second);
    expect(view.element.children[2]).not.toBe(third);
  });

  it("starts again when the text is another one", () => {
    const view = new MarkdownView("one\n\ntwo");
    view.set("three");
    expect(view.element.innerHTML).toBe("<p>three</p>");
  });
});
