import { describe, expect, it } from "vitest";

import { contentSecurityPolicy } from "./content-security";

const CHATKIT = { scriptTimeoutMs: 1, domainKey: "key" };

describe("content security policy", () => {
  it("allows ChatKit's frame only where its script is configured", () => {
    const own = contentSecurityPolicy("abc", { ...CHATKIT, scriptUrl: null }, false);
    expect(own).toContain("frame-src 'none'");
    expect(own).toContain("connect-src 'self';");
    const openai = contentSecurityPolicy("abc", { ...CHATKIT, scriptUrl: "https://cdn.example/x/chatkit.js" }, false);
    expect(openai).toContain("frame-src https://cdn.example;");
    expect(openai).toContain("connect-src 'self' https://cdn.example;");
  });

  it("runs scripts with the nonce alone", () => {
    const policy = contentSecurityPolicy("abc", { ...CHATKIT, scriptUrl: null }, false);
    expect(policy).toContain("script-src 'self' 'nonce-abc' 'strict-dynamic';");
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  });
});
