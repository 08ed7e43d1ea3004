/** The network boundary: who may pass, and with what. */
import { NextResponse, type NextRequest } from "next/server";

import { contentSecurityPolicy, SECURITY_HEADERS } from "@/server/content-security";
import { mayUseSession } from "@/server/origins";
import { problem } from "@/server/problems";
import { hasSessionCookie, sessionToken } from "@/server/session-tokens";
import { settings } from "@/server/settings";

export const config = {
  // Static files and Better Auth's own routes do without.
  matcher: ["/((?!_next/static|_next/image|api/auth/|healthz|icon.svg).*)"],
};

const PROTECTED_PAGE = /^\/dashboard(?:\/|$)/;

/** Swaps the session cookie for the session's JWT, which is all that the gateway gets to see of it. */
async function proxyApi(request: NextRequest): Promise<Response> {
  if (!mayUseSession(request.method, request.headers, settings().auth.origins)) {
    return problem(403, "origin_mismatch", "Forbidden", "This request must come from a page of this site (Origin header).");
  }
  const token = await sessionToken(request.headers);
  if (token === null) return problem(401, "token_missing", "Unauthorized", "Sign in to continue.");
  const headers = new Headers(request.headers);
  for (const name of ["cookie", "accept-encoding", "x-forwarded-for"]) headers.delete(name);
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
  const policy = contentSecurityPolicy(nonce, settings().chatkit, process.env.NODE_ENV === "development");
  const headers = new Headers(request.headers);
  // Next.js reads the nonce for its own scripts from the policy in the request.
  headers.set("content-security-policy", policy);
  headers.set("x-nonce", nonce);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  return response;
}

/** Runs before every page and API route. */
export async function proxy(request: NextRequest): Promise<Response> {
  const isApi = request.nextUrl.pathname.startsWith("/api/");
  const response = isApi ? await proxyApi(request) : proxyPage(request);
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.headers.set(name, value);
  return response;
}
