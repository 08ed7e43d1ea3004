/** Better Auth's routes: sign-up, sign-in, sign-out, session, token, key set. */
import { auth } from "@/server/auth";
import { forgetSession } from "@/server/session-tokens";

async function handle(request: Request): Promise<Response> {
  try {
    const answer = await auth().handler(request);
    // Tokens and sessions are of one visitor; Better Auth says so of some of its answers only.
    if (!answer.headers.has("cache-control")) answer.headers.set("cache-control", "no-store");
    return answer;
  } finally {
    // Whatever changes a session must not leave its old token in use, nor one that was made meanwhile.
    if (request.method !== "GET") forgetSession(request.headers);
  }
}

export { handle as DELETE, handle as GET, handle as PATCH, handle as POST, handle as PUT };
