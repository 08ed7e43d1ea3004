import { afterEach, expect, it, vi } from "vitest";

import { logAuth } from "./auth-log";

afterEach(() => {
  vi.restoreAllMocks();
});

it("says what was refused without repeating it", () => {
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  logAuth("error", "Invalid callbackURL: https://evil.example\nsigned in as admin", { state: "secret" });
  expect(written.mock.calls).toEqual([["better-auth error: Invalid callbackURL\n"]]);
});

it("tells where an error came from, and not what it carries", () => {
  const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  logAuth("error", "INTERNAL_SERVER_ERROR", Object.assign(new Error("duplicate key"), { detail: "Key (email)=(a@example.com)" }));
  const [[line]] = written.mock.calls as [[string]];
  expect(line).toMatch(/^better-auth error: INTERNAL_SERVER_ERROR\nError: duplicate key\n +at /);
  expect(line).not.toContain("a@example.com");
});
