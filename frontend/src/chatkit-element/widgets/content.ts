/** The components that show something themselves. */
import { h } from "../dom";
import { icon } from "../icons";
import { safeHref } from "../markdown/inline";
import { MarkdownView } from "../markdown/view";
import type { WidgetComponent } from "../protocol";

import { applySize, applyText, color, radius } from "./style-values";
import type { ActionConfig, Renderer } from "./view";

const ICON_SIZES: Readonly<Record<string, number>> = { xs: 12, sm: 14, md: 16, lg: 20, xl: 24, "2xl": 28, "3xl": 32 };

function textOf(component: WidgetComponent, property: string): string {
  const value = component[property];
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function text(kind: "text" | "title" | "caption"): Renderer {
  return (component) => {
    const element = h(kind === "title" ? "h3" : "p", { class: `w-${kind}`, text: textOf(component, "value") });
    element.dataset["size"] = textOf(component, "size") || "md";
    if (component["truncate"] === true) element.classList.add("w-truncate");
    if (typeof component["maxLines"] === "number") element.classList.add("w-clamp");
    applyText(element.style, component);
    return element;
  };
}

const badge: Renderer = (component) => {
  const element = h("span", { class: "w-badge", text: textOf(component, "label") });
  element.dataset["color"] = textOf(component, "color") || "secondary";
  element.dataset["variant"] = textOf(component, "variant") || "soft";
  element.dataset["size"] = textOf(component, "size") || "sm";
  return element;
};

const iconComponent: Renderer = (component) => {
  const element = h("span", { class: "w-icon" }, icon(textOf(component, "name"), ICON_SIZES[textOf(component, "size")] ?? 16));
  element.style.color = color(component["color"]) ?? "";
  return element;
};

const button: Renderer = (component, context) => {
  const action = component["onClickAction"] as ActionConfig | undefined;
  const start = textOf(component, "iconStart");
  const end = textOf(component, "iconEnd");
  const label = textOf(component, "label");
  const primary = component["style"] === "primary" || component["variant"] === "solid";
  return h(
    "button",
    {
      class: `w-button ${primary ? "w-primary" : component["variant"] === "ghost" ? "w-ghost" : "w-outline"}${component["block"] === true ? " w-block" : ""}`,
      attributes: { type: "button", disabled: component["disabled"] === true, "aria-label": label ? undefined : start || end },
      on: { click: () => action && context.act(action) },
    },
    start !== "" && icon(start, 16),
    label,
    end !== "" && icon(end, 16),
  );
};

const markdown: Renderer = (component) => new MarkdownView(textOf(component, "value")).element;

/** A picture's domain is allowed when it is listed or lies below one that is. */
export function isAllowedImage(address: string, domains: readonly string[] | null): boolean {
  if (address.startsWith("data:image/") && !address.startsWith("data:image/svg")) return true;
  const href = safeHref(address);
  if (href === null || !href.startsWith("https:")) return false;
  const host = new URL(href).hostname;
  return domains === null || domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
}

const image: Renderer = (component, context) => {
  const source = textOf(component, "src");
  const alt = textOf(component, "alt");
  if (!isAllowedImage(source, context.imageDomains)) {
    return h("div", { class: "w-unknown" }, h("span", { class: "w-unknown-label", text: alt ? `Picture not shown: ${alt}` : "Picture not shown" }));
  }
  const element = h("img", { class: "w-image", attributes: { src: source, alt, loading: "lazy", referrerpolicy: "no-referrer" } });
  applySize(element.style, component);
  const fit = textOf(component, "fit");
  if (["cover", "contain", "fill", "scale-down", "none"].includes(fit)) element.style.objectFit = fit;
  const position = textOf(component, "position");
  if (/^(?:top|bottom|left|right|center| )+$/.test(position)) element.style.objectPosition = position;
  element.style.borderRadius = radius(component["radius"]) ?? "";
  if (component["frame"] === true) element.classList.add("w-frame");
  return element;
};

const label: Renderer = (component) => h("p", { class: "w-caption", text: textOf(component, "value") });

export const contentRenderers: Readonly<Record<string, Renderer>> = {
  Badge: badge,
  Button: button,
  Caption: text("caption"),
  Icon: iconComponent,
  Image: image,
  Label: label,
  Markdown: markdown,
  Text: text("text"),
  Title: text("title"),
};
