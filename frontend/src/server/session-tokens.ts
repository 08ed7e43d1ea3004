/** The JWT of a session, made by Better Auth and kept in this process for a short time. */
import { createHash } from "node:crypto";

import { isAPIError } from "better-auth/api";
import { decodeJwt } from "jose";

import { auth } from "./auth";
import { settings } from "./settings";

const MAX_SESSIONS = 10_000;
/** A token is not used in its last seconds, so that it is still valid when the gateway reads it. */
const EXPIRY_MARGIN_MS = 30_000;

interface Entry {
  readonly token: Promise<string | null>;
  usableUntil: number;
}

/** Tokens by key, oldest first, at most `size` of them; requests at the same moment share one load. */
export class TokenCache {
  private readonly entries = new Map<string, Entry>();

  constructor(
    private readonly size: number,
    private readonly maxAgeMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  /** The kept token, or what `load` gives; a session without a token is not kept. */
  async get(key: string, load: () => Promise<string | null>): Promise<string | null> {
    const kept = this.entries.get(key);
    if (kept && kept.usableUntil > this.now()) return kept.token;
    this.entries.delete(key);
    const entry: Entry = { token: load(), usableUntil: Number.POSITIVE_INFINITY };
    this.entries.set(key, entry);
    this.evict();
    try {
      const token = await entry.token;
      if (token === null) this.drop(key, entry);
      else entry.usableUntil = this.usableUntil(token);
      return token;
    } catch (error) {
      this.drop(key, entry);
      throw error;
    }
  }

  /** Forgets a session, so that its next request asks Better Auth again. */
  forget(key: string): void {
    this.entries.delete(key);
  }

  private drop(key: string, entry: Entry): void {
    if (this.entries.get(key) === entry) this.entries.delete(key);
  }

  private usableUntil(token: string): number {
    const { exp } = decodeJwt(token);
    const expiry = exp === undefined ? 0 : exp * 1000 - EXPIRY_MARGIN_MS;
    return Math.min(this.now() + this.maxAgeMs, expiry);
  }

  private evict(): void {
    for (const key of this.entries.keys()) {
      if (this.entries.size <= this.size) return;
      this.entries.delete(key);
    }
  }
}

const shared = globalThis as typeof globalThis & { threadkeepTokens?: TokenCache };

function cache(): TokenCache {
  shared.threadkeepTokens ??= new TokenCache(MAX_SESSIONS, settings().jwt.cacheSeconds * 1000);
  return shared.threadkeepTokens;
}

const SESSION_COOKIES = /(?:^|;\s*)((?:__Secure-)?better-auth\.session_token=[^;]+)/g;

/**
 * Key of the session that a request carries, or null; the cookie itself is not kept in memory.
 *
 * A request can carry several cookies that look like a session's: another site of the same domain can plant one. Which
 * of them counts is Better Auth's to say. The key is made of all, so that it takes all of them to find the token.
 */
export function sessionKey(headers: Headers): string | null {
  const cookies = Array.from((headers.get("cookie") ?? "").matchAll(SESSION_COOKIES), ([, cookie]) => cookie);
  return cookies.length === 0 ? null : createHash("sha256").update(cookies.join(";")).digest("base64url");
}

/** Says whether a request carries a session cookie; whether it is valid is Better Auth's to say. */
export function hasSessionCookie(headers: Headers): boolean {
  return sessionKey(headers) !== null;
}

/** The JWT for the session in `headers`, or null when nobody is signed in. */
export async function sessionToken(headers: Headers): Promise<string | null> {
  const key = sessionKey(headers);
  if (key === null) return null;
  return cache().get(key, async () => {
    try {
      const { token } = await auth().api.getToken({ headers });
      return token;
    } catch (error) {
      // Not `instanceof`: a route may have made this process' Better Auth, and its bundle has classes of its own.
      if (isAPIError(error) && error.statusCode === 401) return null;
      throw error;
    }
  });
}

/** Forgets the token of a session that is about to end. */
export function forgetSession(headers: Headers): void {
  const key = sessionKey(headers);
  if (key !== null) cache().forget(key);
}
