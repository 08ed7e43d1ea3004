/** The key that signs the next JWT: there before the first session asks for one. */
import { betterAuth, BetterAuthError, type BetterAuthOptions, type GenericEndpointContext } from "better-auth";
import { createJwk, resolveSigningKey } from "better-auth/plugins/jwt";

import { jwtOptions } from "./auth";
import type { Settings } from "./settings";

/** Lets no present key sign again; each is published for its grace, for the tokens that it has signed. */
async function retireKeys({ adapter }: GenericEndpointContext["context"]): Promise<void> {
  const now = new Date();
  for (const where of [{ field: "expiresAt", value: null }, { field: "expiresAt", operator: "gt" as const, value: now }]) {
    await adapter.updateMany({ model: "jwks", where: [where], update: { expiresAt: now } });
  }
}

/** Makes a key where there is none: the first one, one of a changed JWT_ALGORITHM, one of a replaced BETTER_AUTH_SECRET. */
export async function ensureSigningKey(values: Settings, options: BetterAuthOptions): Promise<void> {
  const { algorithm } = values.jwt;
  if (algorithm === "HS256") return;
  const context = await betterAuth(options).$context;
  // Only `context` is read when a key is looked up or made.
  const endpoint = { context } as unknown as GenericEndpointContext;
  try {
    await resolveSigningKey(endpoint, jwtOptions(values), { signingAlgorithm: algorithm });
  } catch (error) {
    if (!(error instanceof BetterAuthError)) throw error;
    // The newest key is encrypted with another secret, and so are those before it: nobody here can use them.
    await retireKeys(context);
    await createJwk(endpoint, jwtOptions(values));
  }
}
