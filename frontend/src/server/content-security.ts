/** Security headers of the pages. */
import type { Settings } from "./settings";

/** The policy of one page view. ChatKit's origin is allowed only where its script is configured. */
export function contentSecurityPolicy(nonce: string, chatkit: Settings["chatkit"], development: boolean): string {
  const origin = chatkit.scriptUrl === null ? "" : ` ${new URL(chatkit.scriptUrl).origin}`;
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    // Components set style attributes, which a nonce cannot cover.
    "style-src 'self' 'unsafe-inline'",
    // Widgets show pictures from the domains that a conversation allows; the chat element checks which.
    "img-src 'self' data: blob: https:",
    "font-src 'self' data:",
    `connect-src 'self'${origin}${development ? " ws:" : ""}`,
    `frame-src ${origin.trim() || "'none'"}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Headers that are the same on every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
  "cross-origin-opener-policy": "same-origin-allow-popups",
};
