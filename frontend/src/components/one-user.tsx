"use client";

import { useEffect } from "react";

import { watchUser } from "@/lib/signed-in-user";

/** Leaves this page when somebody else signs in in another tab: what it shows is not for them. */
export function OneUser({ userId }: { userId: string }) {
  // A full load: nothing of this user's may stay in the page's memory.
  useEffect(() => watchUser(userId, () => window.location.replace("/dashboard")), [userId]);
  return null;
}
