import { betterAuth } from "better-auth";
import { Pool } from "pg";
import { describe, expect, it } from "vitest";

import { authOptions, jwtOptions } from "./auth";
import { readSettings } from "./settings";

const ENV = { DATABASE_URL: "postgresql://localhost/unused", BETTER_AUTH_SECRET: "s".repeat(32) };

/** What Better Auth makes of our options at an address. Nothing here reaches a database. */
async function contextAt(url: string, further: Record<string, string> = {}) {
  const env = { ...ENV, BETTER_AUTH_URL: url, ...further };
  return betterAuth({ ...authOptions(readSettings(env), new Pool()), logger: { disabled: true } }).$context;
}

describe("the session cookie", () => {
  it.each([
    ["https://tasks.example", true, "__Secure-better-auth.session_token"],
    ["http://localhost:3000", false, "better-auth.session_token"],
  ])("at %s: secure %s", async (url, secure, name) => {
    const { sessionToken } = (await contextAt(url)).authCookies;
    expect(sessionToken.name).toBe(name);
    expect(sessionToken.attributes).toMatchObject({ secure, httpOnly: true, sameSite: "lax", path: "/" });
    expect(sessionToken.attributes.domain).toBeUndefined();
  });
});

describe("routes that nobody needs", () => {
  it.each(["/verify-email?token=x&callbackURL=/.//evil.example", "/request-password-reset", "/reset-password", "/send-verification-email"])("%s is none", async (path) => {
    const options = authOptions(readSettings(ENV), new Pool());
    const request = new Request(`http://localhost:3000/api/auth${path}`, { method: path.includes("?") ? "GET" : "POST" });
    expect((await betterAuth({ ...options, logger: { disabled: true } }).handler(request)).status).toBe(404);
  });
});

describe("requests that change an account", () => {
  it("come from the page's own origin, or one that is listed", async () => {
    const { trustedOrigins } = await contextAt("https://tasks.example", { TRUSTED_ORIGINS: "https://other.example" });
    expect(new Set(trustedOrigins)).toEqual(new Set(["https://tasks.example", "https://other.example"]));
  });

  it.each(["disableCSRFCheck", "disableOriginCheck"])("are checked: nothing sets %s", async (name) => {
    const { options } = await contextAt("https://tasks.example");
    expect((options.advanced as Record<string, unknown> | undefined)?.[name]).toBeUndefined();
  });
});

describe("signing keys", () => {
  it.each(["EdDSA", "RS256", "ES256"])("of %s are replaced in time, and published until their last token has ended", (algorithm) => {
    const env = { ...ENV, JWT_ALGORITHM: algorithm, JWT_KEY_ROTATION_DAYS: "7", JWT_KEY_GRACE_SECONDS: "1800" };
    expect(jwtOptions(readSettings(env)).jwks).toMatchObject({ rotationInterval: 7 * 86_400, gracePeriod: 1800 });
  });
});
