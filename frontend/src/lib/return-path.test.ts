import { describe, expect, it } from "vitest";

import { returnPath } from "./return-path";

describe("the way back after signing in", () => {
  it.each([
    ["/dashboard/chat?thread=thr_1", "/dashboard/chat?thread=thr_1"],
    ["/", "/"],
    [undefined, "/dashboard"],
    ["", "/dashboard"],
    [["/a", "/b"], "/dashboard"],
    ["https://evil.example", "/dashboard"],
    ["//evil.example", "/dashboard"],
    ["/\\evil.example", "/dashboard"],
    ["/\t/evil.example", "/dashboard"],
    ["/.//evil.example", "/dashboard"],
    ["/x/..//evil.example", "/dashboard"],
    ["/%2e/\\evil.example", "/dashboard"],
    ["javascript:alert(1)", "/dashboard"],
  ])("%j leads to %j", (next, expected) => {
    expect(returnPath(next)).toBe(expected);
  });
});
