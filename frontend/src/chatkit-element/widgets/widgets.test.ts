// @vitest-environment jsdom
import { describe, expect, it } from "vitest";

import type { WidgetComponent } from "../protocol";
import { changeComponent } from "../widget-tree";

import { isAllowedImage } from "./content";
import { color, spacing } from "./style-values";
import { WidgetView, type ActionConfig } from "./view";

const CARD: WidgetComponent = {
  type: "Card",
  children: [
    { type: "Row", children: [{ type: "Text", value: "Add task" }, { type: "Spacer" }, { type: "Badge", id: "badge", label: "Running", color: "info" }] },
    { type: "ListView", children: [{ type: "ListViewItem", children: [{ type: "Caption", value: "buy <b>milk</b>" }] }] },
    { type: "Chart", data: [], children: [{ type: "Title", value: "inside" }] },
    { type: "Button", label: "Undo", onClickAction: { type: "undo", payload: { id: 1 } } },
  ],
};

function viewOf(root: WidgetComponent, domains: readonly string[] | null = null) {
  const actions: ActionConfig[] = [];
  const view = new WidgetView(
    () => domains,
    (action) => actions.push(action),
  );
  view.update(root);
  return { view, actions };
}

describe("widgets", () => {
  it("show their components, text as text", () => {
    const { view } = viewOf(CARD);
    expect(view.element.querySelector(".w-badge")?.textContent).toBe("Running");
    expect(view.element.querySelector(".w-caption")?.textContent).toBe("buy <b>milk</b>");
    expect(view.element.querySelector("b")).toBeNull();
  });

  it("say what they cannot show, and show what is inside it", () => {
    const { view } = viewOf(CARD);
    expect(view.element.querySelector(".w-unknown-label")?.textContent).toBe("Chart cannot be shown here");
    expect(view.element.querySelector(".w-unknown .w-title")?.textContent).toBe("inside");
  });

  it.each(["constructor", "__proto__", "toString"])("take %s for a word like any other", (type) => {
    const { view } = viewOf({ type: "Card", children: [{ type, children: [{ type: "Icon", name: type }] }, { type: "Text", value: "after" }] });
    expect(view.element.textContent).toBe(`${type} cannot be shown hereafter`);
    expect(view.element.querySelectorAll("svg circle")).toHaveLength(1);
  });

  it("keep the nodes of what has not changed", () => {
    const { view } = viewOf(CARD);
    const caption = view.element.querySelector(".w-caption");
    view.update(changeComponent(CARD, "badge", (badge) => ({ ...badge, label: "Success", color: "success" })));
    expect(view.element.querySelector(".w-badge")?.textContent).toBe("Success");
    expect(view.element.querySelector(".w-badge")?.getAttribute("data-color")).toBe("success");
    expect(view.element.querySelector(".w-caption")).toBe(caption);
  });

  it("tell their actions", () => {
    const { view, actions } = viewOf(CARD);
    view.element.querySelector("button")?.click();
    expect(actions).toEqual([{ type: "undo", payload: { id: 1 } }]);
  });

  it.each([
    ["https://img.example/a.png", null, true],
    ["https://img.example/a.png", ["img.example"], true],
    ["https://cdn.img.example/a.png", ["img.example"], true],
    ["https://evilimg.example/a.png", ["img.example"], false],
    ["http://img.example/a.png", null, false],
    ["javascript:alert(1)", null, false],
    ["data:image/png;base64,AA==", [], true],
    ["data:image/svg+xml,<svg onload=alert(1)>", null, false],
  ])("load %s with domains %j: %s", (address, domains, expected) => {
    expect(isAllowedImage(address, domains)).toBe(expected);
    const { view } = viewOf({ type: "Basic", children: [{ type: "Image", src: address }] }, domains);
    expect(view.element.querySelector("img") !== null).toBe(expected);
  });
});

describe("style values", () => {
  it("are units, tokens and plain CSS", () => {
    expect(spacing(3)).toBe("12px");
    expect(spacing("1rem 2px")).toBe("1rem 2px");
    expect(color("secondary")).toBe("var(--text-soft)");
    expect(color({ light: "#fff", dark: "#000" })).toBe("light-dark(#fff, #000)");
    expect(color("red-500")).toMatch(/^oklch\(/);
  });

  it.each(["url(https://evil.example/x)", "red; background: url(x)", "expression(alert(1))", "var(--x, url(x))"])("are never %s", (value) => {
    expect(color(value)).toBeNull();
    expect(spacing(value)).toBeNull();
  });
});
