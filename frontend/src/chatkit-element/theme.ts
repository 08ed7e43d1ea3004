/** ChatKit's theme options as custom properties of the element. */
import type { ChatKitOptions, ThemeOption } from "@openai/chatkit";

const RADII = { pill: "22px", round: "16px", soft: "10px", sharp: "3px" } as const;
const GAPS = { compact: "14px", normal: "22px", spacious: "30px" } as const;
/** Above this a colour is light enough to need dark text on it. */
const LIGHT_LUMINANCE = 0.36;

function channel(value: number): number {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

/** The relative luminance of a hex colour (WCAG 2), or null for another notation. */
function luminance(hex: string): number | null {
  const digits = /^#([\da-f]{3}|[\da-f]{6})$/i.exec(hex)?.[1];
  if (digits === undefined) return null;
  const full = digits.length === 3 ? digits.replaceAll(/./g, "$&$&") : digits;
  const [r = 0, g = 0, b = 0] = [0, 2, 4].map((at) => channel(Number.parseInt(full.slice(at, at + 2), 16)));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Text on the accent: dark on a light accent, white on a dark one. */
function onAccent(accent: string): string {
  return (luminance(accent) ?? 0) > LIGHT_LUMINANCE ? "#04220c" : "#ffffff";
}

function asOption(theme: ChatKitOptions["theme"]): ThemeOption {
  return typeof theme === "string" ? { colorScheme: theme } : (theme ?? {});
}

/** Sets the theme on `host`; what an option leaves out falls back to the style sheet. */
export function applyTheme(host: HTMLElement, theme: ChatKitOptions["theme"]): void {
  const { colorScheme = "light", color, radius, density, typography } = asOption(theme);
  host.dataset["scheme"] = colorScheme;
  const accent = color?.accent?.primary;
  const values: Readonly<Record<string, string | undefined>> = {
    "--accent": accent,
    "--on-accent": accent === undefined ? undefined : onAccent(accent),
    "--surface": color?.surface?.background,
    "--text": color?.surface?.foreground,
    "--radius": radius === undefined ? undefined : RADII[radius],
    "--gap": density === undefined ? undefined : GAPS[density],
    "--font": typography?.fontFamily,
    "--font-mono": typography?.fontFamilyMono,
    "--size": typography?.baseSize === undefined ? undefined : `${typography.baseSize}px`,
  };
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) host.style.removeProperty(name);
    else host.style.setProperty(name, value);
  }
}
