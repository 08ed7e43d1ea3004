import { describe, expect, it } from "vitest";

import { readSettings, SettingsError } from "./settings";

const SECRET = "s".repeat(32);
const REQUIRED = { DATABASE_URL: "postgresql://u:p@localhost/db", BETTER_AUTH_SECRET: SECRET };

describe("settings", () => {
  it("need only the database and the secret", () => {
    const settings = readSettings(REQUIRED);
    expect(settings.gatewayUrl).toBe("http://127.0.0.1:8000");
    expect(settings.jwt).toEqual({
      algorithm: "EdDSA",
      issuer: "http://localhost:3000",
      audience: "threadkeep",
      expirySeconds: 900,
      cacheSeconds: 60,
      keyRotationSeconds: 90 * 86_400,
      keyGraceSeconds: 3600,
    });
    expect(settings.auth.rateLimit).toEqual({ max: 3, windowSeconds: 10 });
    expect(settings.chatkit.scriptUrl).toMatch(/^https:/);
  });

  it.each([
    [{ DATABASE_URL: "" }, /DATABASE_URL is not set/],
    [{ BETTER_AUTH_SECRET: "short" }, /BETTER_AUTH_SECRET must have at least 32/],
    [{ BETTER_AUTH_URL: "localhost" }, /BETTER_AUTH_URL must be an absolute address/],
    [{ JWT_ALGORITHM: "none" }, /JWT_ALGORITHM must be one of/],
    [{ AUTH_RATE_LIMIT_MAX: "many" }, /AUTH_RATE_LIMIT_MAX must be a number/],
    [{ JWT_KEY_GRACE_SECONDS: "899" }, /JWT_KEY_GRACE_SECONDS must not be below JWT_EXPIRY_SECONDS/],
    [{ CHATKIT_SCRIPT_TIMEOUT_MS: "-1" }, /CHATKIT_SCRIPT_TIMEOUT_MS must be a number/],
  ])("say what is wrong: %j", (changes, message) => {
    expect(() => readSettings({ ...REQUIRED, ...changes })).toThrow(SettingsError);
    expect(() => readSettings({ ...REQUIRED, ...changes })).toThrow(message);
  });

  it.each(["", "off", "OFF"])("leave OpenAI's script out for %j", (value) => {
    expect(readSettings({ ...REQUIRED, CHATKIT_SCRIPT_URL: value }).chatkit.scriptUrl).toBeNull();
  });

  it.each(["https://Tasks.Example", "https://tasks.example:443/", " https://tasks.example// "])("give %j the form of the gateway's settings", (address) => {
    const { auth, jwt } = readSettings({ ...REQUIRED, BETTER_AUTH_URL: address });
    expect([auth.url, jwt.issuer]).toEqual(["https://tasks.example", "https://tasks.example"]);
  });

  it("trust both names of the loopback address, and no other site", () => {
    const { origins } = readSettings({ ...REQUIRED, BETTER_AUTH_URL: "http://127.0.0.1:3300/" }).auth;
    expect([...origins].sort()).toEqual(["http://127.0.0.1:3300", "http://localhost:3300"]);
    expect(readSettings({ ...REQUIRED, BETTER_AUTH_URL: "https://tasks.example" }).auth.origins).toEqual(["https://tasks.example"]);
  });
});
