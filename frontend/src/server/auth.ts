/** Better Auth: accounts, sessions, and the JWTs that the gateway verifies. */
import { betterAuth, type BetterAuthOptions } from "better-auth";
import { jwt, type JwtOptions } from "better-auth/plugins/jwt";
import { SignJWT } from "jose";
import { PostgresDialect } from "kysely";
import type { Pool } from "pg";

import { logAuth } from "./auth-log";
import { AUTH_SCHEMA, createPool } from "./database";
import { createOneKey } from "./key-creation";
import { settings, type Settings } from "./settings";

/**
 * Routes of flows that need mail, which nobody sends here. `/verify-email` would also redirect a visitor to a path that
 * the request brings, `/.//evil.example` among them, which Next.js writes as `//evil.example`.
 */
const MAIL_PATHS = ["/verify-email", "/send-verification-email", "/request-password-reset", "/reset-password"];

function keyPair(algorithm: Settings["jwt"]["algorithm"]): NonNullable<JwtOptions["jwks"]> {
  if (algorithm === "RS256") return { keyPairConfig: { alg: "RS256", modulusLength: 2048 } };
  if (algorithm === "ES256") return { keyPairConfig: { alg: "ES256" } };
  return { keyPairConfig: { alg: "EdDSA", crv: "Ed25519" } };
}

/** The payload is the subject alone: the gateway needs to know who, not their name or address. */
export function jwtOptions({ auth, jwt: token }: Settings): JwtOptions {
  const claims = {
    issuer: token.issuer,
    audience: token.audience,
    expirationTime: `${token.expirySeconds}s`,
    definePayload: () => ({}),
  };
  if (token.algorithm !== "HS256") {
    const life = { rotationInterval: token.keyRotationSeconds, gracePeriod: token.keyGraceSeconds };
    return {
      jwks: { ...keyPair(token.algorithm), ...life },
      jwt: claims,
      adapter: { createJwk: createOneKey() },
      disableSettingJwtHeader: true,
    };
  }
  const secret = new TextEncoder().encode(auth.secret);
  return {
    // The plugin calls `sign` only beside a remote key set; with a shared secret there is none to publish.
    jwks: { ...keyPair("EdDSA"), remoteUrl: `${auth.url}/api/auth/jwks` },
    jwt: { ...claims, sign: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret) },
    disableSettingJwtHeader: true,
  };
}

/** Options for the server and for the migration, so that both see the same tables. */
export function authOptions(values: Settings, pool: Pool) {
  const { auth } = values;
  const signIn = { max: auth.rateLimit.max, window: auth.rateLimit.windowSeconds };
  return {
    appName: "Threadkeep",
    baseURL: auth.url,
    secret: auth.secret,
    trustedOrigins: [...auth.origins],
    disabledPaths: MAIL_PATHS,
    // Qualifying each statement works behind a transaction pooler, where a search path does not.
    database: { dialect: new PostgresDialect({ pool }), type: "postgres" as const, schemaName: AUTH_SCHEMA, transaction: true },
    emailAndPassword: { enabled: true },
    rateLimit: { customRules: { "/sign-in/*": signIn, "/sign-up/*": signIn } },
    advanced: { ipAddress: { trustedProxies: [...auth.trustedProxies] } },
    telemetry: { enabled: false },
    logger: { log: logAuth },
    plugins: [jwt(jwtOptions(values))],
  } satisfies BetterAuthOptions;
}

function createAuth(values: Settings) {
  return betterAuth(authOptions(values, createPool(values.databaseUrl)));
}

export type Auth = ReturnType<typeof createAuth>;

const shared = globalThis as typeof globalThis & { threadkeepAuth?: Auth };

/** Better Auth of this process; proxy.ts and the routes are bundled apart and share it. */
export function auth(): Auth {
  shared.threadkeepAuth ??= createAuth(settings());
  return shared.threadkeepAuth;
}
