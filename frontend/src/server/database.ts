/** Postgres connections for Better Auth, from the address forms that libpq, Neon and Docker hand out. */
import { Pool, type PoolConfig } from "pg";

/** Schema that holds Better Auth's tables. */
export const AUTH_SCHEMA = "auth";

const CONNECT_TIMEOUT_MS = 10_000;
const POOL_SIZE = 10;

type Tls = NonNullable<PoolConfig["ssl"]>;

/**
 * `sslmode` in libpq's words. Every mode that encrypts also checks the certificate, except `no-verify`:
 * what libpq's `require` leaves unchecked would let anybody in the middle read sessions.
 */
function tls(mode: string | null): Tls {
  if (mode === null || mode === "disable" || mode === "allow" || mode === "prefer") return false;
  return { rejectUnauthorized: mode !== "no-verify" };
}

/** Options of a pool for a libpq address; `sslmode` and `channel_binding` are translated, not passed on. */
export function poolConfig(databaseUrl: string): PoolConfig {
  const address = new URL(databaseUrl);
  const mode = address.searchParams.get("sslmode");
  const binding = address.searchParams.get("channel_binding");
  address.searchParams.delete("sslmode");
  address.searchParams.delete("channel_binding");
  return {
    connectionString: address.toString(),
    ssl: tls(mode),
    enableChannelBinding: binding === "require" || binding === "prefer",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    max: POOL_SIZE,
    application_name: "threadkeep-frontend",
  };
}

/** Neon's pooled host without its pooler: schema changes and session locks need the direct one. */
export function directUrl(databaseUrl: string): string {
  const address = new URL(databaseUrl);
  address.hostname = address.hostname.replace(/^([^.]+)-pooler\./, "$1.");
  return address.toString();
}

/** Opens a pool; connections are made when they are needed. */
export function createPool(databaseUrl: string): Pool {
  const pool = new Pool(poolConfig(databaseUrl));
  // An idle connection that the server closes is replaced by the next query; without a listener it ends the process.
  pool.on("error", () => undefined);
  return pool;
}
