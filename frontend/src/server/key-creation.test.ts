import { betterAuth, type GenericEndpointContext } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt, resolveSigningKey, type Jwk } from "better-auth/plugins/jwt";
import { expect, it, vi } from "vitest";

import { createOneKey } from "./key-creation";

const DAY_SECONDS = 86_400;
const MINUTE_MS = 60_000;

it("stores one key for all who find none, and another when that has expired", async () => {
  const database = { user: [], session: [], account: [], verification: [], jwks: [] as Jwk[] };
  let passed = 0;
  const options = { jwks: { rotationInterval: DAY_SECONDS }, adapter: { createJwk: createOneKey(() => passed) } };
  const auth = betterAuth({ baseURL: "http://localhost", secret: "s".repeat(32), plugins: [jwt(options)], database: memoryAdapter(database) });
  const endpoint = { context: await auth.$context } as unknown as GenericEndpointContext;
  const signing = () => Promise.all(Array.from({ length: 20 }, async () => (await resolveSigningKey(endpoint, options))?.kid));

  const first = new Set(await signing());
  expect([first.size, database.jwks.length]).toEqual([1, 1]);
  for (const key of database.jwks) key.expiresAt = new Date(0);
  passed += MINUTE_MS;
  const second = new Set(await signing());
  expect([second.size, database.jwks.length]).toEqual([1, 2]);
  expect(second).not.toEqual(first);
});

it("tries again after a key could not be stored", async () => {
  const create = vi.fn().mockRejectedValueOnce(new Error("no database")).mockResolvedValue({ id: "key" });
  const createKey = createOneKey();
  const endpoint = { context: { adapter: { create } } } as unknown as GenericEndpointContext;
  const made = () => createKey({ publicKey: "", privateKey: "", createdAt: new Date() }, endpoint);
  await expect(made()).rejects.toThrow("no database");
  expect(await made()).toEqual({ id: "key" });
});
