/** Widget properties as CSS values. Only values of a known shape come through. */
import type { WidgetComponent } from "../protocol";

const UNIT_PX = 4;
const LENGTH = /^-?[\d.]+(?:px|rem|em|%|vh|vw|ch|fr)?$|^(?:auto|fit-content|min-content|max-content)$/;
const COLOR = /^(?:#[\da-f]{3,8}|[a-z]+|(?:rgba?|hsla?|oklch|lab|color)\([\w\s.,%/+-]+\))$/i;
const PRIMITIVE = /^([a-z]+)-(\d{2,4})$/;

const RADII: Readonly<Record<string, string>> = {
  "2xs": "2px", xs: "4px", sm: "6px", md: "8px", lg: "12px", xl: "16px", "2xl": "20px", "3xl": "24px", "4xl": "32px",
  full: "9999px", "100%": "100%", none: "0",
};

const TOKENS: Readonly<Record<string, string>> = {
  prose: "var(--text)", primary: "var(--text)", emphasis: "var(--text)", secondary: "var(--text-soft)", tertiary: "var(--text-faint)",
  success: "var(--success)", warning: "var(--warning)", danger: "var(--danger)", default: "var(--line)", subtle: "var(--line)",
  strong: "var(--line-strong)", surface: "var(--surface)", "surface-secondary": "var(--surface-soft)",
  "surface-tertiary": "var(--surface-soft)", "surface-elevated": "var(--surface)", "surface-elevated-secondary": "var(--surface-soft)",
};

/** Hue and chroma of the primitive colours. */
const HUES: Readonly<Record<string, readonly [number, number]>> = {
  gray: [150, 0.01], red: [25, 0.19], orange: [50, 0.17], yellow: [90, 0.16], green: [150, 0.17], blue: [255, 0.17],
  purple: [300, 0.18], pink: [350, 0.18],
};

const ALIGN: Readonly<Record<string, string>> = { start: "flex-start", end: "flex-end", center: "center", baseline: "baseline", stretch: "stretch" };
const JUSTIFY: Readonly<Record<string, string>> = {
  start: "flex-start", end: "flex-end", center: "center", between: "space-between", around: "space-around", evenly: "space-evenly", stretch: "stretch",
};

type Value = unknown;

function isRecord(value: Value): value is Record<string, Value> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A size: numbers are pixels. */
export function size(value: Value): string | null {
  if (typeof value === "number") return `${value}px`;
  return typeof value === "string" && LENGTH.test(value) ? value : null;
}

/** A distance: numbers are spacing units of 4 px. */
export function spacing(value: Value): string | null {
  if (typeof value === "number") return `${value * UNIT_PX}px`;
  if (typeof value !== "string") return null;
  return value.split(" ").every((part) => LENGTH.test(part)) ? value : null;
}

function oneColor(value: Value): string | null {
  if (typeof value !== "string") return null;
  const token = TOKENS[value];
  if (token) return token;
  const [, name = "", step = ""] = PRIMITIVE.exec(value) ?? [];
  const hue = HUES[name];
  // Steps run from 25 (lightest) to 1000 (darkest).
  if (hue) return `oklch(${(98 - Number(step) * 0.075).toFixed(1)}% ${hue[1]} ${hue[0]})`;
  return COLOR.test(value) ? value : null;
}

/** A colour: a token, a primitive such as `red-100`, a CSS colour, or one for each theme. */
export function color(value: Value): string | null {
  if (!isRecord(value)) return oneColor(value);
  const light = oneColor(value["light"]);
  const dark = oneColor(value["dark"]);
  return light && dark ? `light-dark(${light}, ${dark})` : (light ?? dark);
}

function set(style: CSSStyleDeclaration, property: string, value: string | null | undefined): void {
  if (value !== null && value !== undefined) style.setProperty(property, value);
}

/** `padding` and `margin`: one distance, or one for each side. */
function applySides(style: CSSStyleDeclaration, property: "padding" | "margin", value: Value): void {
  if (!isRecord(value)) return set(style, property, spacing(value));
  for (const side of ["top", "right", "bottom", "left"] as const) {
    const axis = side === "top" || side === "bottom" ? "y" : "x";
    set(style, `${property}-${side}`, spacing(value[side] ?? value[axis]));
  }
}

function borderValue(value: Value): string | null {
  if (typeof value === "number") return `${value}px solid var(--line)`;
  if (!isRecord(value) || typeof value["size"] !== "number") return null;
  return `${value["size"]}px solid ${color(value["color"]) ?? "var(--line)"}`;
}

function applyBorder(style: CSSStyleDeclaration, value: Value): void {
  const whole = borderValue(value);
  if (whole !== null || !isRecord(value)) return set(style, "border", whole);
  for (const side of ["top", "right", "bottom", "left"] as const) {
    const axis = side === "top" || side === "bottom" ? "y" : "x";
    set(style, `border-${side}`, borderValue(value[side] ?? value[axis]));
  }
}

/** Width, height and their bounds. */
export function applySize(style: CSSStyleDeclaration, component: WidgetComponent): void {
  set(style, "width", size(component["width"] ?? component["size"]));
  set(style, "height", size(component["height"] ?? component["size"]));
  set(style, "min-width", size(component["minWidth"] ?? component["minSize"]));
  set(style, "min-height", size(component["minHeight"] ?? component["minSize"]));
  set(style, "max-width", size(component["maxWidth"] ?? component["maxSize"]));
  set(style, "max-height", size(component["maxHeight"] ?? component["maxSize"]));
  const ratio = component["aspectRatio"];
  if (typeof ratio === "number" || (typeof ratio === "string" && /^[\d.\s/]+$/.test(ratio))) style.aspectRatio = String(ratio);
  const flex = component["flex"];
  if (typeof flex === "number" || (typeof flex === "string" && /^[\w\s.%]+$/.test(flex))) style.flex = String(flex);
}

/** The layout properties that boxes share. */
export function applyBox(style: CSSStyleDeclaration, component: WidgetComponent): void {
  applySize(style, component);
  applySides(style, "padding", component["padding"]);
  applySides(style, "margin", component["margin"]);
  applyBorder(style, component["border"]);
  set(style, "gap", spacing(component["gap"]));
  set(style, "border-radius", RADII[String(component["radius"])]);
  set(style, "background-color", color(component["background"]));
  set(style, "align-items", ALIGN[String(component["align"])]);
  set(style, "justify-content", JUSTIFY[String(component["justify"])]);
  const wrap = component["wrap"];
  if (wrap === "wrap" || wrap === "nowrap" || wrap === "wrap-reverse") style.flexWrap = wrap;
}

/** The properties that texts share. */
export function applyText(style: CSSStyleDeclaration, component: WidgetComponent): void {
  set(style, "color", color(component["color"]));
  set(style, "width", size(component["width"]));
  const weights: Readonly<Record<string, string>> = { normal: "400", medium: "500", semibold: "600", bold: "700" };
  set(style, "font-weight", weights[String(component["weight"])]);
  const align = component["textAlign"];
  if (align === "start" || align === "center" || align === "end") style.textAlign = align;
  if (component["italic"] === true) style.fontStyle = "italic";
  if (component["lineThrough"] === true) style.textDecoration = "line-through";
  if (typeof component["maxLines"] === "number") style.setProperty("--max-lines", String(component["maxLines"]));
  if (typeof component["minLines"] === "number") style.minHeight = `${component["minLines"] * 1.5}em`;
}

/** The border radius for a token, or null. */
export function radius(value: Value): string | null {
  return RADII[String(value)] ?? null;
}
