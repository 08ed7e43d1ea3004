/** Who is signed in, for pages. */
import { headers } from "next/headers";

import { auth } from "./auth";

export interface SignedInUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
}

/** The user of this request, from the database, or null. */
export async function signedInUser(): Promise<SignedInUser | null> {
  const session = await auth().api.getSession({ headers: await headers() });
  if (session === null) return null;
  const { id, name, email } = session.user;
  return { id, name, email };
}
