/** Forwards a request to the gateway and streams the answer back, byte by byte as it comes. */
import { problem } from "./problems";
import { settings } from "./settings";

/** Answer headers that mean something to the page; the rest concerns the connection to the gateway. */
const ANSWER_HEADERS = [
  "content-type",
  "content-disposition",
  "cache-control",
  "etag",
  "idempotent-replayed",
  "last-modified",
  "location",
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
  "x-request-id",
  "x-run-id",
] as const;

/**
 * Request headers that the gateway may see; the cookie stays here. `server/start.mjs` has seen to it that
 * X-Forwarded-For tells the browser's address; the gateway believes it if the page is one of its TRUSTED_PROXIES.
 */
const REQUEST_HEADERS = [
  "accept",
  "accept-language",
  "authorization",
  "content-type",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "last-event-id",
  "range",
  "traceparent",
  "tracestate",
  "user-agent",
  "x-forwarded-for",
  "x-request-id",
] as const;

function pick(source: Headers, names: readonly string[]): Headers {
  const picked = new Headers();
  for (const name of names) {
    const value = source.get(name);
    if (value !== null) picked.set(name, value);
  }
  return picked;
}

function answerHeaders(answer: Response): Headers {
  const headers = pick(answer.headers, ANSWER_HEADERS);
  if (headers.get("content-type")?.startsWith("text/event-stream")) {
    // `no-transform` keeps compression off: it would hold events back until the answer ends.
    headers.set("cache-control", "no-cache, no-transform");
    headers.set("x-accel-buffering", "no");
  } else if (!headers.has("cache-control")) {
    headers.set("cache-control", "no-store");
  }
  return headers;
}

/** Sends `request` to the same path on the gateway. A client that goes away ends the gateway's request too. */
export async function forward(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const headers = pick(request.headers, REQUEST_HEADERS);
  headers.set("accept-encoding", "identity");
  const init: RequestInit & { duplex: "half" } = {
    method: request.method,
    headers,
    body: request.body,
    signal: request.signal,
    redirect: "manual",
    cache: "no-store",
    duplex: "half",
  };
  try {
    const answer = await fetch(`${settings().gatewayUrl}${pathname}${search}`, init);
    return new Response(answer.body, { status: answer.status, headers: answerHeaders(answer) });
  } catch {
    if (request.signal.aborted) return new Response(null, { status: 499 });
    return problem(502, "upstream_failed", "Bad gateway", "The gateway could not be reached. Try again in a moment.");
  }
}
