/** Says that the process answers; it asks nothing of the database or the gateway. */
export const dynamic = "force-dynamic";

/** `GET /healthz` */
export function GET(): Response {
  return Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
}
