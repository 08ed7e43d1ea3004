/** Cross-site request forgery: which requests that change something may carry a session. */

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Says whether a request may use the session cookie.
 *
 * Safe methods may. The others must come from a page of ours: browsers say so in `Origin`, and in
 * `Sec-Fetch-Site`, and a page cannot forge either. A program that sends neither is refused too,
 * because it cannot be told apart from a browser whose headers were stripped on the way.
 */
export function mayUseSession(method: string, headers: Headers, origins: readonly string[]): boolean {
  if (SAFE_METHODS.has(method)) return true;
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return false;
  const origin = headers.get("origin");
  return origin === null ? site === "same-origin" : origins.includes(origin);
}
