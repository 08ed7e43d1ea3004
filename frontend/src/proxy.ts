/** The network boundary: who may pass, and with what. */
import { NextResponse, type NextRequest } from "next/server";

import { logAuth } from "@/server/auth-log";
import { DATA_POLICY, pagePolicy, strictTransport } from "@/server/content-security";
import { mayUseSession } from "@/server/origins";
import { problem } from "@/server/problems";
import { hasSessionCookie, sessionToken } from "@/server/session-tokens";
import { settings } from "@/server/settings";

export const config = {
  // Static files do without: their headers are those of next.config.ts.
  matcher: ["/((?!_next/static/|icon\\.svg$).*)"],
};

const POLICY = "content-security-policy";
const PROTECTED_PAGE = /^\/dashboard(?:\/|$)/;

/** Swaps the session cookie for the session's JWT, which is all that the gateway gets to see of it. */
async function proxyApi(request: NextRequest): Promise<Response> {
  if (!mayUseSession(request.method, request.headers, settings().auth.origins)) {
    return problem(403, "origin_mismatch", "Forbidden", "This request must come from a page of this site (Origin header).");
  }
  let token: string | null;
  try {
    token = await sessionToken(request.headers);
  } catch (error) {
    logAuth("error", "no token could be made", error);
    return problem(503, "sessions_unavailable", "Service Unavailable", "Your session could not be looked up. Try again in a moment.");
  }
  if (token === null) return problem(401, "token_missing", "Unauthorized", "Sign in to continue.");
  const headers = new Headers(request.headers);
  for (const name of ["cookie", "accept-encoding"]) headers.delete(name);
  headers.set("authorization", `Bearer ${token}`);
  return NextResponse.next({ request: { headers } });
}

function signInAddress({ nextUrl }: NextRequest): URL {
  const address = new URL("/sign-in", nextUrl);
  address.searchParams.set("next", `${nextUrl.pathname}${nextUrl.search}`);
  return address;
}

function proxyPage(request: NextRequest): Response {
  if (PROTECTED_PAGE.test(request.nextUrl.pathname) && !hasSessionCookie(request.headers)) {
    return NextResponse.redirect(signInAddress(request));
  }
  const nonce = crypto.randomUUID().replaceAll("-", "");
  const view = { nonce, pathname: request.nextUrl.pathname, development: process.env.NODE_ENV === "development" };
  const policy = pagePolicy(view, settings().chatkit);
  const headers = new Headers(request.headers);
  // Next.js reads the nonce for its own scripts from the policy in the request.
  headers.set(POLICY, policy);
  headers.set("x-nonce", nonce);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set(POLICY, policy);
  return response;
}

/** Better Auth's routes and the health check: what they answer is theirs to say. */
const WITHOUT_SESSION = /^\/(?:api\/auth\/|healthz$)/;

function isDecodable(pathname: string): boolean {
  try {
    decodeURIComponent(pathname);
    return true;
  } catch {
    return false;
  }
}

async function answer(request: NextRequest): Promise<Response> {
  const { pathname } = request.nextUrl;
  if (pathname.startsWith("/api/") && !isDecodable(pathname)) {
    return problem(400, "malformed_request", "Bad Request", "The path of this address is not UTF-8.");
  }
  if (WITHOUT_SESSION.test(pathname)) return NextResponse.next();
  return pathname.startsWith("/api/") ? proxyApi(request) : proxyPage(request);
}

/** Runs before every page and route. */
export async function proxy(request: NextRequest): Promise<Response> {
  const response = await answer(request);
  if (!response.headers.has(POLICY)) response.headers.set(POLICY, DATA_POLICY);
  const transport = strictTransport(settings().auth.url);
  if (transport !== null) response.headers.set("strict-transport-security", transport);
  return response;
}
