/** Better Auth in the browser, against this origin. */
import { createAuthClient } from "better-auth/client";

export const authClient = createAuthClient();
