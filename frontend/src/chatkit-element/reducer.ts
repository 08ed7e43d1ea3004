/** The state of one conversation on the page, and how events change it. Pure: no I/O, no DOM, no clock. */
import { updatedItem } from "./item-updates";
import type { NoticeLevel, Page, ThreadEvent, ThreadItem, ThreadMetadata, UserMessageInput, UserMessageItem } from "./protocol";

export interface Notice {
  readonly level: NoticeLevel;
  readonly title: string | null;
  readonly message: string;
}

export interface Failure {
  readonly message: string;
  readonly allowRetry: boolean;
}

/**
 * What the conversation is doing. `streaming`: events are coming in. `reconnecting`: the connection was
 * lost and the server is being asked. `waiting`: an answer is being made that nobody streams to this page.
 * `stopping`: the run was asked to end and has not yet.
 */
export type Activity = "idle" | "loading" | "streaming" | "reconnecting" | "waiting" | "stopping";

export interface ThreadState {
  readonly thread: ThreadMetadata | null;
  /** Oldest first. */
  readonly items: readonly ThreadItem[];
  /** Items that have begun and are not done. */
  readonly open: ReadonlySet<string>;
  /** Where older items continue, or null when all are here. */
  readonly olderAfter: string | null;
  readonly activity: Activity;
  /** The run that makes the answer, while one is being made and the server has named it. */
  readonly runId: string | null;
  readonly progress: string | null;
  readonly allowCancel: boolean;
  readonly failure: Failure | null;
  readonly notices: readonly Notice[];
  /** A message that was sent and is not yet stored; it shows at the end. */
  readonly pending: UserMessageItem | null;
}

export const EMPTY_STATE: ThreadState = {
  thread: null,
  items: [],
  open: new Set(),
  olderAfter: null,
  activity: "idle",
  runId: null,
  progress: null,
  allowCancel: true,
  failure: null,
  notices: [],
  pending: null,
};

/** Says whether the composer has to wait. Where nobody is known to answer, a new message may be sent. */
export function isBusy({ activity, runId }: ThreadState): boolean {
  return activity === "waiting" ? runId !== null : activity !== "idle";
}

/** Stands for the id of a message that has none yet. */
export const PENDING_ID = "pending";

const DEFAULT_ERROR = "Something went wrong while the answer was being made.";

function placed(items: readonly ThreadItem[], item: ThreadItem): ThreadItem[] {
  const index = items.findIndex(({ id }) => id === item.id);
  return index === -1 ? [...items, item] : items.map((old, at) => (at === index ? item : old));
}

function without(open: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return open.has(id) ? new Set([...open].filter((other) => other !== id)) : open;
}

/** The item's first event takes the place of the message that was shown in advance. */
function withItem(state: ThreadState, item: ThreadItem, done: boolean): ThreadState {
  return {
    ...state,
    items: placed(state.items, item),
    open: done ? without(state.open, item.id) : new Set([...state.open, item.id]),
    pending: item.type === "user_message" ? null : state.pending,
    progress: item.type === "user_message" ? state.progress : null,
  };
}

function withUpdate(state: ThreadState, event: Extract<ThreadEvent, { type: "thread.item.updated" }>): ThreadState {
  const index = state.items.findIndex(({ id }) => id === event.item_id);
  const item = state.items[index];
  if (!item) return state;
  const next = updatedItem(item, event.update);
  if (next === item) return state;
  const items = [...state.items];
  items[index] = next;
  return { ...state, items, progress: null };
}

/** The state after `event`. Events of unknown kinds change nothing. */
export function reduce(state: ThreadState, event: ThreadEvent): ThreadState {
  switch (event.type) {
    case "thread.created":
    case "thread.updated":
      return { ...state, thread: { ...state.thread, ...event.thread } };
    case "thread.item.added":
      return withItem(state, event.item, false);
    case "thread.item.updated":
      return withUpdate(state, event);
    case "thread.item.done":
      return withItem(state, event.item, true);
    case "thread.item.replaced":
      return { ...state, items: placed(state.items, event.item) };
    case "thread.item.removed":
      return { ...state, items: state.items.filter(({ id }) => id !== event.item_id), open: without(state.open, event.item_id) };
    case "stream_options":
      return { ...state, allowCancel: event.stream_options.allow_cancel };
    case "progress_update":
      return { ...state, progress: event.text };
    case "error":
      return { ...state, progress: null, failure: { message: event.message || DEFAULT_ERROR, allowRetry: event.allow_retry ?? false } };
    case "notice":
      return { ...state, notices: [...state.notices, { level: event.level, title: event.title ?? null, message: event.message }] };
    default:
      return state;
  }
}

/**
 * Puts the newest page that the server has (newest first) in place of what is here from that page on.
 *
 * The server is the truth: what was streamed and is not there was never finished. Older items stay, and
 * with `keepOpen` so does what has begun, for as long as its run may still go on.
 */
export function withNewestPage(state: ThreadState, page: Page<ThreadItem>, keepOpen = false): ThreadState {
  const newest = [...page.data].reverse();
  const first = newest[0];
  const known = first ? state.items.findIndex(({ id }) => id === first.id) : -1;
  const older = known > 0 ? state.items.slice(0, known) : [];
  const stored = new Set(newest.map(({ id }) => id));
  const here = new Set(state.items.map(({ id }) => id));
  const open = keepOpen ? state.items.filter(({ id }) => state.open.has(id) && !stored.has(id)) : [];
  return {
    ...state,
    items: [...older, ...newest, ...open].map((item) => sameOrNew(state.items, item)),
    olderAfter: older.length > 0 ? state.olderAfter : page.has_more ? (page.after ?? first?.id ?? null) : null,
    open: new Set(open.map(({ id }) => id)),
    pending: newest.some(({ id, type }) => type === "user_message" && !here.has(id)) ? null : state.pending,
    progress: null,
  };
}

/** The item that is here already when nothing about it has changed, so that its view stays as it is. */
function sameOrNew(items: readonly ThreadItem[], item: ThreadItem): ThreadItem {
  const old = items.find(({ id }) => id === item.id);
  return old !== undefined && JSON.stringify(old) === JSON.stringify(item) ? old : item;
}

/** Puts a page of older items (newest first) before those that are here. */
export function withOlderPage(state: ThreadState, page: Page<ThreadItem>): ThreadState {
  const known = new Set(state.items.map(({ id }) => id));
  const older = [...page.data].reverse().filter(({ id }) => !known.has(id));
  const olderAfter = page.has_more ? (page.after ?? page.data.at(-1)?.id ?? null) : null;
  return { ...state, items: [...older, ...state.items], olderAfter };
}

/** Shows a message that is being sent; it gives way to the stored one. */
export function withPending(state: ThreadState, input: UserMessageInput, createdAt: string): ThreadState {
  const pending: UserMessageItem = {
    type: "user_message",
    id: PENDING_ID,
    thread_id: state.thread?.id ?? "",
    created_at: createdAt,
    content: input.content,
    quoted_text: input.quoted_text,
  };
  return { ...state, pending, failure: null };
}

/** Drops everything after the item: a retry makes it again. */
export function cutAfter(state: ThreadState, itemId: string): ThreadState {
  const index = state.items.findIndex(({ id }) => id === itemId);
  return index === -1 ? state : { ...state, items: state.items.slice(0, index + 1), open: new Set(), failure: null };
}

/** The last message of the user, which a retry answers again. */
export function lastUserMessage(items: readonly ThreadItem[]): UserMessageItem | null {
  return items.findLast((item): item is UserMessageItem => item.type === "user_message") ?? null;
}

const ANSWERS: ReadonlySet<ThreadItem["type"]> = new Set(["assistant_message", "end_of_turn", "client_tool_call", "structured_input"]);

/** Says whether the conversation ends with something that an answer has still to follow. */
export function awaitsAnswer(items: readonly ThreadItem[]): boolean {
  const last = items.at(-1);
  return last !== undefined && !ANSWERS.has(last.type);
}
