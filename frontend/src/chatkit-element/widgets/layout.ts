/** The components that hold others. */
import { h } from "../dom";
import { icon } from "../icons";
import type { WidgetComponent } from "../protocol";
import { childrenOf } from "../widget-tree";

import { applyBox, color, size, spacing } from "./style-values";
import type { ActionConfig, Renderer, WidgetContext } from "./view";

function renderChildren(component: WidgetComponent, context: WidgetContext): HTMLElement[] {
  return childrenOf(component).map((child) => context.render(child));
}

function box(className: string): Renderer {
  return (component, context) => {
    const element = h("div", { class: className }, ...renderChildren(component, context));
    if (component["direction"] === "row") element.classList.add("w-row");
    if (component["direction"] === "col") element.classList.add("w-col");
    applyBox(element.style, component);
    return element;
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function status(component: WidgetComponent): HTMLElement | null {
  const value = component["status"];
  if (!isRecord(value) || typeof value["text"] !== "string") return null;
  const mark = typeof value["icon"] === "string" ? icon(value["icon"], 14) : null;
  return h("div", { class: "w-status" }, mark, value["text"]);
}

function footerButton(value: unknown, className: string, context: WidgetContext): HTMLElement | null {
  if (!isRecord(value) || typeof value["label"] !== "string") return null;
  const action = value["action"] as ActionConfig;
  return h("button", { class: className, text: value["label"], attributes: { type: "button" }, on: { click: () => context.act(action) } });
}

const card: Renderer = (component, context) => {
  const collapsed = component["collapsed"] === true;
  const body = h("div", { class: "w-card-body" }, ...(collapsed ? [] : renderChildren(component, context)));
  const cancel = footerButton(component["cancel"], "w-button w-outline", context);
  const confirm = footerButton(component["confirm"], "w-button w-primary", context);
  const footer = cancel || confirm ? h("div", { class: "w-card-footer" }, cancel, confirm) : null;
  const element = h("div", { class: "w-card" }, status(component), body, footer);
  const width = component["size"];
  if (typeof width === "string") element.dataset["size"] = width;
  // A card's `size` is a token; boxes read it as a length.
  applyBox(body.style, { ...component, size: undefined, background: undefined, border: undefined });
  applyBox(element.style, { type: "Card", background: component["background"], border: component["border"] });
  return element;
};

const listViewItem: Renderer = (component, context) => {
  const action = component["onClickAction"] as ActionConfig | undefined;
  const children = renderChildren(component, context);
  const element = action
    ? h("button", { class: "w-list-item", attributes: { type: "button" }, on: { click: () => context.act(action) } }, ...children)
    : h("div", { class: "w-list-item" }, ...children);
  applyBox(element.style, component);
  return element;
};

const listView: Renderer = (component, context) => {
  const rows = renderChildren(component, context);
  const limit = typeof component["limit"] === "number" ? component["limit"] : rows.length;
  const element = h("div", { class: "w-card w-list" }, status(component), ...rows.slice(0, limit));
  if (rows.length > limit) {
    const more = h("button", {
      class: "w-list-more",
      text: `Show ${rows.length - limit} more`,
      attributes: { type: "button" },
      on: { click: () => more.replaceWith(...rows.slice(limit)) },
    });
    element.append(more);
  }
  return element;
};

const divider: Renderer = (component) => {
  const element = h("hr", { class: "w-divider" });
  element.style.borderColor = color(component["color"]) ?? "";
  element.style.borderTopWidth = size(component["size"]) ?? "";
  element.style.marginBlock = spacing(component["spacing"]) ?? "";
  if (component["flush"] === true) element.classList.add("w-flush");
  return element;
};

const spacer: Renderer = (component) => {
  const element = h("div", { class: "w-spacer" });
  const least = size(component["minSize"]);
  if (least) element.style.flexBasis = least;
  return element;
};

/** A transition shows its one child; the movement is left out. */
const transition: Renderer = (component, context) => h("div", { class: "w-box" }, ...renderChildren(component, context));

export const layoutRenderers: Readonly<Record<string, Renderer>> = {
  Basic: box("w-basic"),
  Box: box("w-box"),
  Card: card,
  Col: box("w-col"),
  Divider: divider,
  ListView: listView,
  ListViewItem: listViewItem,
  Row: box("w-row"),
  Spacer: spacer,
  Transition: transition,
};
