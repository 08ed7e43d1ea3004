/** Security headers: what a browser may do with the answers of this server. */
import type { Settings } from "./settings";

/** The one page that shows ChatKit. */
const CHAT_PAGE = /^\/dashboard\/chat\/?$/;

/** What a page view's policy depends on. */
export interface PageView {
  /** Random, and of this view alone. */
  readonly nonce: string;
  readonly pathname: string;
  readonly development: boolean;
}

/** Where OpenAI's element comes from, on the page that shows it; null elsewhere, and where our own is used. */
function chatKitOrigin(pathname: string, { scriptUrl }: Settings["chatkit"]): string | null {
  return scriptUrl !== null && CHAT_PAGE.test(pathname) ? new URL(scriptUrl).origin : null;
}

/** The policy of one page view. Scripts run with the view's nonce, or when such a script loads them. */
export function pagePolicy({ nonce, pathname, development }: PageView, chatkit: Settings["chatkit"]): string {
  const origin = chatKitOrigin(pathname, chatkit);
  const also = origin === null ? "" : ` ${origin}`;
  // OpenAI's element brings styles that nobody here can mark, and so does development.
  const styles = origin === null && !development ? `'nonce-${nonce}'` : "'unsafe-inline'";
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    `style-src 'self' ${styles}`,
    // Components come from the server with style attributes, which a nonce cannot cover.
    "style-src-attr 'unsafe-inline'",
    // Widgets show pictures from the domains that a conversation allows; the chat element checks which.
    "img-src 'self' data: blob: https:",
    "font-src 'self' data:",
    // The gateway is reached through this server.
    `connect-src 'self'${also}${development ? " ws:" : ""}`,
    `frame-src ${origin ?? "'none'"}`,
    "worker-src 'self'",
    "manifest-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** The policy of what is no page. Should a browser show such an answer as a document, it has no script and no origin. */
export const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** Headers that are the same on every answer; `next.config.ts` sets them. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "permissions-policy":
    "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** A year. Subdomains are not ours to decide about. */
const STRICT_TRANSPORT = "max-age=31536000";

/** `Strict-Transport-Security` (RFC 6797) when people reach the page over TLS, else null. */
export function strictTransport(authUrl: string): string | null {
  return new URL(authUrl).protocol === "https:" ? STRICT_TRANSPORT : null;
}
