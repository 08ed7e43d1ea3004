/** Gets an answer that this page does not follow: asks the server for it, and follows it again where it is still being made. */
import { ApiError } from "../lib/problem";

import type { ApiClient, Run } from "./api-client";
import type { Page, ThreadItem } from "./protocol";
import { awaitsAnswer } from "./reducer";

export const NEWEST_PAGE_SIZE = 30;

const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 4_000;
const PAUSE_GROWTH = 1.5;
/** With a run to ask about there is an end for certain; without one the page gives up sooner. */
const RUN_PATIENCE_MS = 15 * 60_000;
const ITEMS_PATIENCE_MS = 2 * 60_000;

export interface RecoveryOptions {
  readonly api: ApiClient;
  readonly threadId: string;
  readonly runId: string | null;
  readonly signal: AbortSignal;
  /** Gets each newest page; `final` when nothing more will follow. */
  readonly onPage: (page: Page<ThreadItem>, final: boolean) => void;
  /** Follows the run that is still going on; false when that was not possible to its end. */
  readonly follow: () => Promise<boolean>;
}

/** `answered`: the items are complete. `ended`: the run ended otherwise. `given-up`: still nothing. */
export type RecoveryResult =
  | { readonly kind: "answered" | "given-up" }
  | { readonly kind: "ended"; readonly run: Run };

/** Waits, but not longer than until the browser is online again. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener("online", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    addEventListener("online", finish);
    signal.addEventListener("abort", finish);
  });
}

function isFinal(error: unknown): boolean {
  return error instanceof ApiError && [400, 401, 403, 404, 422].includes(error.status);
}

async function statusOf({ api, runId, signal }: RecoveryOptions): Promise<Run | null> {
  if (runId === null) return null;
  try {
    return await api.run(runId, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** One look at the server; null when there is more to wait for. */
async function look(options: RecoveryOptions): Promise<RecoveryResult | null> {
  // The run first: when it has ended, the items that are read after it are all there will be.
  const run = await statusOf(options);
  const running = run?.status === "queued" || run?.status === "in_progress";
  const page = await options.api.call(
    "items.list",
    { thread_id: options.threadId, limit: NEWEST_PAGE_SIZE, order: "desc" },
    options.signal,
  );
  const answered = !awaitsAnswer([...page.data].reverse());
  const final = run === null ? answered : !running;
  options.onPage(page, final);
  if (!final) return null;
  return run === null || run.status === "completed" ? { kind: "answered" } : { kind: "ended", run };
}

/** Looks, follows, and looks again, with growing pauses. Raises what cannot get better: no such thread, not signed in. */
export async function recover(options: RecoveryOptions): Promise<RecoveryResult> {
  const patience = performance.now() + (options.runId === null ? ITEMS_PATIENCE_MS : RUN_PATIENCE_MS);
  let length = FIRST_PAUSE_MS;
  let followed = false;
  while (performance.now() < patience && !options.signal.aborted) {
    try {
      const result = await look(options);
      if (result !== null) return result;
      // What was followed to its end has ended, and the next look says how. If it has not, it is not asked again at once.
      followed = (await options.follow()) && !followed;
      if (followed) continue;
    } catch (error) {
      if (isFinal(error) || options.signal.aborted) throw error;
    }
    await pause(length, options.signal);
    length = Math.min(length * PAUSE_GROWTH, LONGEST_PAUSE_MS);
  }
  return { kind: "given-up" };
}
