import { UnsecuredJWT } from "jose";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { sessionToken } from "@/server/session-tokens";

import { GET, POST } from "./route";

/** Better Auth with one session; `signingOut` is what its end waits for. */
const better = vi.hoisted(() => ({ signedIn: true, signingOut: Promise.resolve() }));

vi.mock("@/server/auth", () => ({
  auth: () => ({
    api: { getToken: async () => ({ token: better.signedIn ? new UnsecuredJWT({}).setExpirationTime("15m").encode() : null }) },
    handler: async ({ method }: Request) => {
      if (method === "GET") return Response.json({ token: "a token" });
      await better.signingOut;
      better.signedIn = false;
      return Response.json({ success: true }, { headers: { "cache-control": "private" } });
    },
  }),
}));

const ADDRESS = "http://localhost:3000/api/auth/";
const headers = new Headers({ cookie: "better-auth.session_token=mine" });

describe("Better Auth's routes", () => {
  beforeEach(() => {
    vi.stubEnv("DATABASE_URL", "postgresql://localhost/unused");
    vi.stubEnv("BETTER_AUTH_SECRET", "s".repeat(32));
  });

  it("leave no token in use that was made while the session ended", async () => {
    let end: () => void = () => undefined;
    better.signingOut = new Promise((done) => (end = done));
    const signedOut = POST(new Request(`${ADDRESS}sign-out`, { method: "POST", headers }));
    expect(await sessionToken(headers)).toBeTypeOf("string");
    end();
    await signedOut;
    expect(await sessionToken(headers)).toBeNull();
  });

  it("keep what they answer out of caches, unless Better Auth says how", async () => {
    expect((await GET(new Request(`${ADDRESS}token`, { headers }))).headers.get("cache-control")).toBe("no-store");
    expect((await POST(new Request(`${ADDRESS}sign-out`, { method: "POST" }))).headers.get("cache-control")).toBe("private");
  });
});
