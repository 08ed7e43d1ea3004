import { describe, expect, it } from "vitest";

import { directUrl, poolConfig } from "./database";

const NEON = "postgresql://owner:p%40ss@ep-cool-name-123456-pooler.eu-central-1.aws.neon.tech/threadkeep?sslmode=require&channel_binding=require";

describe("database addresses", () => {
  it("of Neon become a checked TLS connection with channel binding", () => {
    const config = poolConfig(NEON);
    expect(config.ssl).toEqual({ rejectUnauthorized: true });
    expect(config.enableChannelBinding).toBe(true);
    expect(config.connectionString).not.toMatch(/sslmode|channel_binding/);
    expect(config.connectionString).toContain("p%40ss");
  });

  it.each([
    ["", false],
    ["?sslmode=disable", false],
    ["?sslmode=verify-full", { rejectUnauthorized: true }],
    ["?sslmode=no-verify", { rejectUnauthorized: false }],
  ])("with %j", (query, ssl) => {
    expect(poolConfig(`postgresql://u:p@localhost:5432/db${query}`).ssl).toEqual(ssl);
  });

  it("lead past the pooler for migrations", () => {
    expect(new URL(directUrl(NEON)).hostname).toBe("ep-cool-name-123456.eu-central-1.aws.neon.tech");
    expect(directUrl("postgresql://u:p@my-pooler/db")).toBe("postgresql://u:p@my-pooler/db");
  });
});
