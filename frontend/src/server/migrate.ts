/**
 * Creates or updates the tables of Better Auth in the schema `auth`, and the first signing key.
 *
 * Safe to repeat and to run in parallel: an advisory lock lets one process at a time through.
 */
import { getMigrations } from "better-auth/db/migration";
import type { Pool } from "pg";

import { authOptions } from "./auth";
import { createPool, directUrl } from "./database";
import { readSettings, SettingsError, type Settings } from "./settings";
import { ensureSigningKey } from "./signing-key";

/** Key of the lock: any number that no other program of this database uses. */
const LOCK_KEY = 7_206_151_001;

async function withLock<T>(pool: Pool, action: () => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [LOCK_KEY]);
    return await action();
  } finally {
    // Closing the connection gives the lock back, whatever happened to it.
    client.release(true);
  }
}

async function migrate(values: Settings): Promise<string> {
  const pool = createPool(directUrl(values.databaseUrl));
  try {
    return await withLock(pool, async () => {
      const { toBeCreated, toBeAdded, runMigrations } = await getMigrations(authOptions(values, pool));
      await runMigrations();
      await ensureSigningKey(values, authOptions(values, pool));
      const changed = [...toBeCreated, ...toBeAdded].map(({ table }) => table);
      return changed.length === 0 ? "up to date" : `changed ${changed.join(", ")}`;
    });
  } finally {
    await pool.end();
  }
}

async function main(): Promise<void> {
  try {
    console.log(`schema auth: ${await migrate(readSettings(process.env))}`);
  } catch (error) {
    const known = error instanceof SettingsError;
    // Better Auth's own errors have an empty stack.
    console.error(`schema auth: ${known ? error.message : error instanceof Error ? error.stack || error.message : String(error)}`);
    process.exitCode = 1;
  }
}

void main();
