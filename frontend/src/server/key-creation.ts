/** New keys for signing: one at a time, however many requests find that the last one has expired. */
import type { Jwk, JwtOptions } from "better-auth/plugins/jwt";

type CreateKey = NonNullable<NonNullable<JwtOptions["adapter"]>["createJwk"]>;

/** How long a new key is given to whoever asks for one: they had looked for it before it was stored. */
const SHARED_MS = 10_000;

/**
 * What stores a key for Better Auth. By itself it would store one for each request that comes before the first is
 * there, and of more than a hundred it publishes a hundred.
 */
export function createOneKey(now: () => number = Date.now): CreateKey {
  let shared: { readonly key: Promise<Jwk>; readonly until: number } | null = null;
  return (data, { context }) => {
    if (shared === null || now() >= shared.until) {
      const key = context.adapter.create<Omit<Jwk, "id">, Jwk>({ model: "jwks", data });
      const made = { key, until: now() + SHARED_MS };
      shared = made;
      key.catch(() => {
        if (shared === made) shared = null;
      });
    }
    return shared.key;
  };
}
