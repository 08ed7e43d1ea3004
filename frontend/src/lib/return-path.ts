/** Where to go after signing in. */

const HOME = "/dashboard";

/** `next` if it is a path of this site, else the dashboard: an address of somebody else's is not followed. */
export function returnPath(next: string | string[] | undefined): string {
  const base = "http://site.invalid";
  if (typeof next !== "string" || !next.startsWith("/") || !URL.canParse(next, base)) return HOME;
  const target = new URL(next, base);
  // `/.//evil.example` is a path of this site until its dots are gone; what is left names another one.
  if (target.origin !== base || target.pathname.startsWith("//")) return HOME;
  return `${target.pathname}${target.search}`;
}
