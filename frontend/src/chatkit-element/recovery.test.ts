// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { ApiClient } from "./api-client";
import { recover, type RecoveryOptions } from "./recovery";

/** A run that goes on for ever, at a server that answers at once. */
const api = {
  run: async () => ({ id: "run1", status: "in_progress" }),
  call: async () => ({ data: [], has_more: false, after: null }),
} as unknown as ApiClient;

describe("looking for an answer", () => {
  let left: AbortController;
  let options: RecoveryOptions;

  beforeEach(() => {
    vi.useFakeTimers();
    left = new AbortController();
    options = { api, threadId: "thr", runId: "run1", signal: left.signal, onPage: () => undefined, follow: async () => false };
    return () => vi.useRealTimers();
  });

  it("pauses when the events of a run that goes on end again and again", async () => {
    const follow = vi.fn(async () => {
      if (follow.mock.calls.length >= 20) left.abort();
      return true;
    });
    const looked = recover({ ...options, follow });
    await vi.advanceTimersByTimeAsync(0);
    expect(follow.mock.calls.length).toBeLessThan(5);
    left.abort();
    await looked;
  });

  it("leaves no timer behind when the thread is left while its run is followed", async () => {
    const follow = async () => (left.abort(), false);
    expect(await recover({ ...options, follow })).toEqual({ kind: "given-up" });
    expect(vi.getTimerCount()).toBe(0);
  });
});
