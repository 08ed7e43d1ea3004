/** The server's settings: read from the environment once, when the process first needs them. */

export type JwtAlgorithm = "EdDSA" | "RS256" | "ES256" | "HS256";

export interface Settings {
  readonly databaseUrl: string;
  readonly gatewayUrl: string;
  readonly auth: {
    readonly url: string;
    readonly secret: string;
    /** Origins that may send credentials and unsafe requests; the first is that of `url`. */
    readonly origins: readonly string[];
    readonly trustedProxies: readonly string[];
    readonly rateLimit: { readonly max: number; readonly windowSeconds: number };
  };
  readonly jwt: {
    readonly algorithm: JwtAlgorithm;
    readonly issuer: string;
    readonly audience: string;
    readonly expirySeconds: number;
    /** How long a process may use one token for a session, in seconds: also the longest life of a revoked session. */
    readonly cacheSeconds: number;
    /** Age at which a signing key is replaced by a new one, in seconds. */
    readonly keyRotationSeconds: number;
    /** How long a replaced key stays in the key set, in seconds: its last tokens must have ended by then. */
    readonly keyGraceSeconds: number;
  };
  readonly chatkit: {
    /** Address of OpenAI's script, or null when the page must not try it. */
    readonly scriptUrl: string | null;
    readonly scriptTimeoutMs: number;
    readonly domainKey: string;
  };
}

/** A setting is missing or cannot be used. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

type Environment = Readonly<Record<string, string | undefined>>;

const CHATKIT_SCRIPT_URL = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js";
const JWT_ALGORITHMS: readonly JwtAlgorithm[] = ["EdDSA", "RS256", "ES256", "HS256"];
const LOOPBACK_NAMES = ["localhost", "127.0.0.1"];
const SECRET_MIN_LENGTH = 32;
const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

function required(env: Environment, name: string): string {
  const value = env[name]?.trim();
  if (!value) throw new SettingsError(`${name} is not set`);
  return value;
}

function positive(env: Environment, name: string, fallback: number): number {
  const text = env[name]?.trim();
  if (!text) return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new SettingsError(`${name} must be a number above 0, not "${text}"`);
  return value;
}

function url(name: string, text: string): string {
  if (!URL.canParse(text)) throw new SettingsError(`${name} must be an absolute address, not "${text}"`);
  // In the form that the gateway gives it, too: it compares the issuer of tokens as text.
  return new URL(text).href.replace(/\/+$/, "");
}

function list(text: string | undefined): string[] {
  return (text ?? "").split(",").map((part) => part.trim()).filter(Boolean);
}

function algorithm(text: string | undefined): JwtAlgorithm {
  const found = JWT_ALGORITHMS.find((name) => name === (text?.trim() || "EdDSA"));
  if (!found) throw new SettingsError(`JWT_ALGORITHM must be one of ${JWT_ALGORITHMS.join(", ")}, not "${text}"`);
  return found;
}

/** A page on this machine is opened under either name of the loopback address. */
function originsOf(authUrl: string, further: readonly string[]): string[] {
  const own = new URL(authUrl);
  const siblings = LOOPBACK_NAMES.includes(own.hostname)
    ? LOOPBACK_NAMES.map((name) => `${own.protocol}//${name}${own.port ? `:${own.port}` : ""}`)
    : [];
  return [...new Set([own.origin, ...siblings, ...further])];
}

function scriptUrl(text: string | undefined): string | null {
  const value = text === undefined ? CHATKIT_SCRIPT_URL : text.trim();
  return value === "" || value.toLowerCase() === "off" ? null : url("CHATKIT_SCRIPT_URL", value);
}

function jwtSettings(env: Environment, authUrl: string): Settings["jwt"] {
  const expirySeconds = positive(env, "JWT_EXPIRY_SECONDS", 900);
  const keyGraceSeconds = positive(env, "JWT_KEY_GRACE_SECONDS", Math.max(HOUR_SECONDS, expirySeconds));
  if (keyGraceSeconds < expirySeconds) throw new SettingsError("JWT_KEY_GRACE_SECONDS must not be below JWT_EXPIRY_SECONDS");
  return {
    algorithm: algorithm(env["JWT_ALGORITHM"]),
    issuer: env["JWT_ISSUER"]?.trim() || authUrl,
    audience: env["JWT_AUDIENCE"]?.trim() || "threadkeep",
    expirySeconds,
    cacheSeconds: positive(env, "JWT_CACHE_SECONDS", 60),
    keyRotationSeconds: positive(env, "JWT_KEY_ROTATION_DAYS", 90) * DAY_SECONDS,
    keyGraceSeconds,
  };
}

/** Checks and freezes the settings in `env`. Raises `SettingsError` naming the variable that is wrong. */
export function readSettings(env: Environment): Settings {
  const authUrl = url("BETTER_AUTH_URL", env["BETTER_AUTH_URL"]?.trim() || "http://localhost:3000");
  const secret = required(env, "BETTER_AUTH_SECRET");
  if (secret.length < SECRET_MIN_LENGTH) {
    throw new SettingsError(`BETTER_AUTH_SECRET must have at least ${SECRET_MIN_LENGTH} characters`);
  }
  return Object.freeze({
    databaseUrl: required(env, "DATABASE_URL"),
    gatewayUrl: url("GATEWAY_URL", env["GATEWAY_URL"]?.trim() || "http://127.0.0.1:8000"),
    auth: {
      url: authUrl,
      secret,
      origins: originsOf(authUrl, list(env["TRUSTED_ORIGINS"])),
      trustedProxies: list(env["TRUSTED_PROXIES"]),
      rateLimit: {
        max: positive(env, "AUTH_RATE_LIMIT_MAX", 3),
        windowSeconds: positive(env, "AUTH_RATE_LIMIT_WINDOW_SECONDS", 10),
      },
    },
    jwt: jwtSettings(env, authUrl),
    chatkit: {
      scriptUrl: scriptUrl(env["CHATKIT_SCRIPT_URL"]),
      scriptTimeoutMs: positive(env, "CHATKIT_SCRIPT_TIMEOUT_MS", 2500),
      domainKey: env["CHATKIT_DOMAIN_KEY"]?.trim() || "threadkeep-self-hosted",
    },
  });
}

let current: Settings | undefined;

/** The settings of this process. */
export function settings(): Settings {
  current ??= readSettings(process.env);
  return current;
}
