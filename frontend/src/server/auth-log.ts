/** What Better Auth has to say, without what requests have brought. */

type Level = "debug" | "info" | "warn" | "error";

/** Its messages name what was refused behind a colon; that is anybody's text, over several lines if they like. */
function withoutValues(message: string): string {
  return message.split(":", 1)[0] ?? "";
}

/** Writes one line, and the stack of an error. Other objects stay out: they hold rows, addresses and states of requests. */
export function logAuth(level: Level, message: string, ...details: unknown[]): void {
  const stacks = details.map((detail) => (detail instanceof Error ? detail.stack || detail.name : undefined)).filter(Boolean);
  process.stderr.write(`${[`better-auth ${level}: ${withoutValues(message)}`, ...stacks].join("\n")}\n`);
}
