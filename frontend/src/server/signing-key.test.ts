import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins/jwt";
import { expect, it } from "vitest";

import { jwtOptions } from "./auth";
import { readSettings } from "./settings";
import { ensureSigningKey } from "./signing-key";

interface Key {
  readonly id: string;
  readonly alg: string;
  readonly expiresAt: Date | null;
}

const tables = () => ({ user: [], session: [], account: [], verification: [], jwks: [] as Key[] });

/** Does what the migration does to the keys of a database, and returns those that may sign afterwards. */
async function migrated(database: ReturnType<typeof tables>, environment: Record<string, string> = {}) {
  const values = readSettings({ DATABASE_URL: "postgresql://localhost/unused", BETTER_AUTH_SECRET: "s".repeat(32), ...environment });
  const { url: baseURL, secret } = values.auth;
  const plugins = [jwt(jwtOptions(values))];
  await ensureSigningKey(values, { baseURL, secret, plugins, database: memoryAdapter(database), logger: { disabled: true } });
  return database.jwks.filter(({ expiresAt }) => expiresAt === null || expiresAt > new Date());
}

it("is made once", async () => {
  const database = tables();
  const [first] = await migrated(database);
  expect(first).toBeDefined();
  expect(await migrated(database)).toEqual([first]);
});

it("is made of the algorithm that is set", async () => {
  const database = tables();
  await migrated(database);
  expect((await migrated(database, { JWT_ALGORITHM: "ES256" })).map(({ alg }) => alg)).toEqual(["EdDSA", "ES256"]);
});

it("is made anew when the secret was replaced, and no key of the old one signs again", async () => {
  const database = tables();
  const [old] = await migrated(database);
  database.jwks.push({ ...old, id: "of long ago", expiresAt: null } as Key);
  const live = await migrated(database, { BETTER_AUTH_SECRET: "n".repeat(32) });
  expect(live).toHaveLength(1);
  expect([old?.id, "of long ago"]).not.toContain(live[0]?.id);
  expect(database.jwks).toHaveLength(3);
});
