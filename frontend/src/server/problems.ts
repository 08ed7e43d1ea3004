/** RFC 9457 problem details for the answers that this server gives itself. */

/** Builds a problem; `code` is stable and meant for programs, `detail` for people. */
export function problem(status: number, code: string, title: string, detail: string): Response {
  return Response.json(
    { type: "about:blank", title, status, detail, code },
    { status, headers: { "content-type": "application/problem+json", "cache-control": "no-store" } },
  );
}
