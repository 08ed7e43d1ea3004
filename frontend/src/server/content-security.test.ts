import { describe, expect, it } from "vitest";

import { DATA_POLICY, pagePolicy, strictTransport } from "./content-security";

const OWN = { scriptTimeoutMs: 1, domainKey: "key", scriptUrl: null };
const OPENAI = { ...OWN, scriptUrl: "https://cdn.example/x/chatkit.js" };
const CHAT = { nonce: "abc", pathname: "/dashboard/chat", development: false };

describe("policy of a page", () => {
  it("allows ChatKit's origin on the chat page alone, and there only if its script is configured", () => {
    const chat = pagePolicy(CHAT, OPENAI);
    expect(chat).toContain("frame-src https://cdn.example;");
    expect(chat).toContain("connect-src 'self' https://cdn.example;");
    expect(pagePolicy(CHAT, OWN)).not.toContain("cdn.example");
    for (const pathname of ["/", "/sign-in", "/dashboard", "/dashboard/chat/x", "/dashboard/chats", "/x/dashboard/chat"]) {
      const policy = pagePolicy({ ...CHAT, pathname }, OPENAI);
      expect(policy).not.toContain("cdn.example");
      expect(policy).toContain("frame-src 'none'");
      expect(policy).toContain("connect-src 'self';");
    }
  });

  it.each([OWN, OPENAI])("runs scripts with the nonce alone (%j)", (chatkit) => {
    const policy = pagePolicy(CHAT, chatkit);
    expect(policy).toContain("script-src 'self' 'nonce-abc' 'strict-dynamic';");
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  });

  it("takes style elements with the nonce alone, but for OpenAI's element", () => {
    expect(pagePolicy(CHAT, OWN)).toContain("style-src 'self' 'nonce-abc';");
    expect(pagePolicy(CHAT, OPENAI)).toContain("style-src 'self' 'unsafe-inline';");
    expect(pagePolicy({ ...CHAT, pathname: "/dashboard" }, OPENAI)).toContain("style-src 'self' 'nonce-abc';");
  });

  it("lets nobody frame a page or move its forms and its base", () => {
    const policy = pagePolicy(CHAT, OPENAI);
    for (const directive of ["frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "object-src 'none'"]) {
      expect(policy.split("; ")).toContain(directive);
    }
  });
});

describe("other answers", () => {
  it("are nothing that a browser could run", () => {
    expect(DATA_POLICY.split("; ")).toEqual(["default-src 'none'", "frame-ancestors 'none'", "sandbox"]);
  });

  it("ask for TLS where the page has it", () => {
    expect(strictTransport("https://tasks.example")).toBe("max-age=31536000");
    expect(strictTransport("http://localhost:3000")).toBeNull();
  });
});
