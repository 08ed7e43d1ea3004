/** Failures in words for the person in front of the page. */
import { ApiError } from "../lib/problem";

import type { Run } from "./api-client";
import type { Failure } from "./reducer";

export const NO_ANSWER = "This message has no answer yet.";
export const ANSWERING = "An answer is being made. Wait for its end, or stop it.";
const LOST_BEFORE_SENT = "The connection was lost before the message arrived.";
/** Asking again will not change these. After 401 it will, for who has signed in again. */
const FINAL_STATUSES: readonly number[] = [400, 403, 404, 413, 422];

/** Any raised value as an error with a text that can be shown. */
export function errorOf(cause: unknown): Error {
  if (cause instanceof ApiError) return cause;
  // What `fetch` raises when there is no connection.
  if (cause instanceof TypeError) return new ApiError(0, "offline", "The server could not be reached. Check your connection.");
  return cause instanceof Error ? cause : new Error(String(cause));
}

export function lostBeforeSent(): ApiError {
  return new ApiError(0, "offline", LOST_BEFORE_SENT);
}

/** Says whether the same request could succeed later. */
export function mayRetry(error: Error): boolean {
  return !(error instanceof ApiError) || !FINAL_STATUSES.includes(error.status);
}

/** What to show for a run that did not complete; null for one that was stopped on purpose. */
export function runFailure({ status, error }: Run): Failure | null {
  if (status !== "failed") return null;
  return { message: error?.message ?? NO_ANSWER, allowRetry: error?.allow_retry ?? true };
}
