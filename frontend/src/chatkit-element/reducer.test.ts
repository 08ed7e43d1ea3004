import { describe, expect, it } from "vitest";

import type { AssistantMessageItem, ThreadEvent, ThreadItem, UserMessageItem, WidgetComponent, WidgetItem } from "./protocol";
import { awaitsAnswer, cutAfter, EMPTY_STATE, reduce, withNewestPage, withOlderPage, withPending, type ThreadState } from "./reducer";

const AT = "2026-11-01T10:00:00Z";

function user(id: string, text = "hello"): UserMessageItem {
  return { type: "user_message", id, thread_id: "thr", created_at: AT, content: [{ type: "input_text", text }] };
}

function assistant(id: string, ...texts: string[]): AssistantMessageItem {
  const content = texts.map((text) => ({ type: "output_text" as const, text, annotations: [] }));
  return { type: "assistant_message", id, thread_id: "thr", created_at: AT, content };
}

function card(label: string): WidgetComponent {
  const row = { type: "Row", children: [{ type: "Text", id: "title", value: "Add task" }, { type: "Badge", id: "badge", label }] };
  return { type: "Card", children: [row, { type: "Caption", id: "note", value: "" }] };
}

function widget(id: string, label: string): WidgetItem {
  return { type: "widget", id, thread_id: "thr", created_at: AT, widget: card(label) };
}

function after(events: readonly ThreadEvent[], state: ThreadState = EMPTY_STATE): ThreadState {
  return events.reduce(reduce, state);
}

function delta(itemId: string, text: string, index = 0): ThreadEvent {
  return { type: "thread.item.updated", item_id: itemId, update: { type: "assistant_message.content_part.text_delta", content_index: index, delta: text } };
}

function textOf(item: ThreadItem | undefined): string[] {
  return item?.type === "assistant_message" ? item.content.map(({ text }) => text) : [];
}

describe("a streamed answer", () => {
  const events: ThreadEvent[] = [
    { type: "thread.created", thread: { id: "thr", title: null, created_at: AT } },
    { type: "thread.item.done", item: user("u1") },
    { type: "progress_update", text: "Thinking…" },
    { type: "thread.item.added", item: assistant("a1") },
    {
      type: "thread.item.updated",
      item_id: "a1",
      update: { type: "assistant_message.content_part.added", content_index: 0, content: { type: "output_text", text: "", annotations: [] } },
    },
    delta("a1", "Good "),
    delta("a1", "morning"),
  ];

  it("grows with each delta", () => {
    const lengths = events.map((_, count) => textOf(after(events.slice(0, count + 1)).items[1]).join("").length);
    expect(lengths).toEqual([0, 0, 0, 0, 0, 5, 12]);
  });

  it("is open until it is done, and then is what the server says", () => {
    const streaming = after(events);
    expect([...streaming.open]).toEqual(["a1"]);
    const done = reduce(streaming, { type: "thread.item.done", item: assistant("a1", "Good morning!") });
    expect(done.open.size).toBe(0);
    expect(textOf(done.items[1])).toEqual(["Good morning!"]);
  });

  it("shows progress until something else comes", () => {
    expect(after(events.slice(0, 3)).progress).toBe("Thinking…");
    expect(after(events.slice(0, 4)).progress).toBeNull();
  });

  it("leaves the items that do not change as they are", () => {
    const before = after(events);
    const next = reduce(before, delta("a1", "."));
    expect(next.items[0]).toBe(before.items[0]);
    expect(next.items[1]).not.toBe(before.items[1]);
  });

  it("takes parts in any order", () => {
    const state = after([...events, delta("a1", "second part", 2)]);
    expect(textOf(state.items[1])).toEqual(["Good morning", "", "second part"]);
  });

  it("keeps annotations", () => {
    const annotation = { type: "annotation" as const, source: { type: "url" as const, title: "Source", url: "https://example.com" } };
    const state = after([
      ...events,
      {
        type: "thread.item.updated",
        item_id: "a1",
        update: { type: "assistant_message.content_part.annotation_added", content_index: 0, annotation_index: 0, annotation },
      },
    ]);
    const item = state.items[1];
    expect(item?.type === "assistant_message" && item.content[0]?.annotations).toEqual([annotation]);
  });
});

describe("items", () => {
  it("replace the item of the same id and never appear twice", () => {
    const state = after([
      { type: "thread.item.added", item: widget("w1", "Running") },
      { type: "thread.item.added", item: widget("w1", "Running") },
      { type: "thread.item.done", item: widget("w1", "Success") },
      { type: "thread.item.replaced", item: widget("w1", "Failed") },
    ]);
    expect(state.items).toEqual([widget("w1", "Failed")]);
  });

  it("go away when they are withdrawn", () => {
    const state = after([
      { type: "thread.item.added", item: assistant("a1", "half") },
      { type: "thread.item.removed", item_id: "a1" },
    ]);
    expect(state.items).toEqual([]);
    expect(state.open.size).toBe(0);
  });

  it("ignore updates that do not fit", () => {
    const state = after([{ type: "thread.item.done", item: user("u1") }]);
    expect(reduce(state, delta("u1", "x"))).toBe(state);
    expect(reduce(state, delta("unknown", "x"))).toBe(state);
    expect(reduce(state, { type: "from.the.future" } as unknown as ThreadEvent)).toBe(state);
  });

  it("take the place of the message that was shown in advance", () => {
    const input = { content: [{ type: "input_text" as const, text: "hello" }], attachments: [], quoted_text: null, inference_options: {} };
    const pending = withPending(EMPTY_STATE, input, AT);
    expect(pending.pending?.content).toEqual(input.content);
    expect(reduce(pending, { type: "thread.item.done", item: user("u1") }).pending).toBeNull();
  });
});

describe("widgets", () => {
  const shown = after([{ type: "thread.item.added", item: widget("w1", "Running") }]);

  function root(state: ThreadState): WidgetComponent {
    const item = state.items[0];
    if (item?.type !== "widget") throw new Error("no widget");
    return item.widget;
  }

  it("change as a whole", () => {
    const state = reduce(shown, { type: "thread.item.updated", item_id: "w1", update: { type: "widget.root.updated", widget: card("Success") } });
    expect(root(state)).toEqual(card("Success"));
  });

  it("change in one component, and the others keep their identity", () => {
    const badge = { type: "Badge", id: "badge", label: "Success" };
    const state = reduce(shown, {
      type: "thread.item.updated",
      item_id: "w1",
      update: { type: "widget.component.updated", component_id: "badge", component: badge },
    });
    expect(root(state)).toEqual(card("Success"));
    const caption = (component: WidgetComponent) => (component.children as WidgetComponent[])[1];
    expect(caption(root(state))).toBe(caption(root(shown)));
  });

  it("stream text into a component", () => {
    const write = (text: string, done: boolean): ThreadEvent => ({
      type: "thread.item.updated",
      item_id: "w1",
      update: { type: "widget.streaming_text.value_delta", component_id: "note", delta: text, done },
    });
    const state = after([write("buy ", false), write("milk", true)], shown);
    expect((root(state).children as WidgetComponent[])[1]).toMatchObject({ value: "buy milk", streaming: false });
  });
});

describe("workflows", () => {
  it("add and change their tasks", () => {
    const item: ThreadItem = { type: "workflow", id: "wf", thread_id: "thr", created_at: AT, workflow: { type: "custom", tasks: [] } };
    const state = after([
      { type: "thread.item.added", item },
      { type: "thread.item.updated", item_id: "wf", update: { type: "workflow.task.added", task_index: 0, task: { type: "custom", title: "B" } } },
      { type: "thread.item.updated", item_id: "wf", update: { type: "workflow.task.added", task_index: 0, task: { type: "custom", title: "A" } } },
      { type: "thread.item.updated", item_id: "wf", update: { type: "workflow.task.updated", task_index: 1, task: { type: "custom", title: "C" } } },
    ]);
    const shown = state.items[0];
    expect(shown?.type === "workflow" && shown.workflow.tasks.map(({ title }) => title)).toEqual(["A", "C"]);
  });
});

describe("errors and notices", () => {
  it("say what happened and whether it can be retried", () => {
    expect(reduce(EMPTY_STATE, { type: "error", code: "custom", message: "No model", allow_retry: true }).failure).toEqual({ message: "No model", allowRetry: true });
    expect(reduce(EMPTY_STATE, { type: "error", code: "stream.error" }).failure?.allowRetry).toBe(false);
    expect(reduce(EMPTY_STATE, { type: "notice", level: "warning", message: "Slow" }).notices).toEqual([{ level: "warning", title: null, message: "Slow" }]);
  });
});

describe("pages from the server", () => {
  const page = (items: ThreadItem[], hasMore = false) => ({ data: [...items].reverse(), has_more: hasMore, after: hasMore ? (items[0]?.id ?? null) : null });

  it("replace what was streamed and never stored", () => {
    const streamed = after([
      { type: "thread.item.done", item: user("u1") },
      { type: "thread.item.added", item: assistant("lost", "half an ans") },
    ]);
    const fresh = withNewestPage(streamed, page([user("u1"), assistant("a1", "whole answer")]));
    expect(fresh.items.map(({ id }) => id)).toEqual(["u1", "a1"]);
    expect(fresh.items[0]).toBe(streamed.items[0]);
    expect(fresh.open.size).toBe(0);
  });

  it("keep what has begun while its run may go on", () => {
    const streamed = after([
      { type: "thread.item.done", item: user("u1") },
      { type: "thread.item.added", item: assistant("a1", "half") },
    ]);
    const during = withNewestPage(streamed, page([user("u1")]), true);
    expect(during.items.map(({ id }) => id)).toEqual(["u1", "a1"]);
    expect([...during.open]).toEqual(["a1"]);
    const done = withNewestPage(during, page([user("u1"), assistant("a1", "whole")]), true);
    expect(textOf(done.items[1])).toEqual(["whole"]);
    expect(done.open.size).toBe(0);
  });

  it("keep older items and continue before them", () => {
    const items = [user("u1"), assistant("a1", "1"), user("u2"), assistant("a2", "2")];
    const newest = withNewestPage(EMPTY_STATE, page(items.slice(2), true));
    expect(newest.olderAfter).toBe("u2");
    const whole = withOlderPage(newest, page(items.slice(0, 2)));
    expect(whole.items).toEqual(items);
    expect(whole.olderAfter).toBeNull();
    expect(withNewestPage(whole, page(items.slice(2), true)).items).toEqual(items);
  });

  it("never show an item twice when pages overlap", () => {
    const items = [user("u1"), assistant("a1", "1"), user("u2")];
    const newest = withNewestPage(EMPTY_STATE, page(items.slice(1), true));
    expect(withOlderPage(newest, page(items.slice(0, 2))).items).toEqual(items);
  });
});

describe("what is still to come", () => {
  it("is an answer after a user message or a tool", () => {
    expect(awaitsAnswer([])).toBe(false);
    expect(awaitsAnswer([user("u1")])).toBe(true);
    expect(awaitsAnswer([user("u1"), widget("w1", "Success")])).toBe(true);
    expect(awaitsAnswer([user("u1"), assistant("a1", "x")])).toBe(false);
  });

  it("is asked for again by a retry", () => {
    const state = after([
      { type: "thread.item.done", item: user("u1") },
      { type: "thread.item.done", item: widget("w1", "Failed") },
      { type: "error", code: "custom", message: "No", allow_retry: true },
    ]);
    const cut = cutAfter(state, "u1");
    expect(cut.items.map(({ id }) => id)).toEqual(["u1"]);
    expect(cut.failure).toBeNull();
  });
});
