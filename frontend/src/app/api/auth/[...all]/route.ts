/** Better Auth's routes: sign-up, sign-in, sign-out, session, token, key set. */
import { auth } from "@/server/auth";
import { forgetSession } from "@/server/session-tokens";

function handle(request: Request): Promise<Response> {
  // Whatever changes a session must not leave its old token in use.
  if (request.method !== "GET") forgetSession(request.headers);
  return auth().handler(request);
}

export { handle as DELETE, handle as GET, handle as PATCH, handle as POST, handle as PUT };
