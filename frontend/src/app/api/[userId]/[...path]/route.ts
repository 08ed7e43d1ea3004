/** The gateway's public routes, under the same paths. proxy.ts has put the user's token into the request. */
import { forward } from "@/server/gateway";

export const dynamic = "force-dynamic";

export { forward as DELETE, forward as GET, forward as PATCH, forward as POST, forward as PUT };
