import { describe, expect, it } from "vitest";

import { mayUseSession } from "./origins";

const ORIGINS = ["https://tasks.example"];

describe("who may use a session", () => {
  it.each([
    ["GET", {}, true],
    ["HEAD", { "sec-fetch-site": "cross-site" }, true],
    ["POST", { origin: "https://tasks.example", "sec-fetch-site": "same-origin" }, true],
    ["POST", { origin: "https://tasks.example" }, true],
    ["POST", { "sec-fetch-site": "same-origin" }, true],
    ["POST", {}, false],
    ["POST", { origin: "null" }, false],
    ["POST", { origin: "https://evil.example" }, false],
    ["POST", { origin: "https://tasks.example.evil.example" }, false],
    ["POST", { origin: "https://evil.example", "sec-fetch-site": "same-origin" }, false],
    ["DELETE", { origin: "https://tasks.example", "sec-fetch-site": "same-site" }, false],
    ["PATCH", { origin: "https://tasks.example", "sec-fetch-site": "cross-site" }, false],
    ["PUT", { "sec-fetch-site": "none" }, false],
  ])("%s with %j: %s", (method, headers, expected) => {
    expect(mayUseSession(method, new Headers(headers as Record<string, string>), ORIGINS)).toBe(expected);
  });
});
