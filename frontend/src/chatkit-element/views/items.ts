/** One view per kind of thread item. */
import { h, show } from "../dom";
import { icon } from "../icons";
import { safeHref } from "../markdown/inline";
import { MarkdownView } from "../markdown/view";
import type { AssistantMessageItem, Source, Task, ThreadItem, WidgetItem, WorkflowItem } from "../protocol";
import { isAllowedImage } from "../widgets/content";
import { WidgetView, type ActionConfig } from "../widgets/view";

/** What item views need from the element. */
export interface ItemContext {
  imageDomains(): readonly string[] | null;
  act(action: ActionConfig, item: WidgetItem): void;
}

/** Shows one item; `update` gets the item again whenever it has changed. */
export interface ItemView {
  readonly element: HTMLElement;
  update(item: ThreadItem): void;
}

/** A view that is made anew for each change; null shows nothing. */
function simpleView(kind: string, render: (item: ThreadItem) => Node | null): ItemView {
  const element = h("li", { class: `item item-${kind}` });
  return {
    element,
    update(item) {
      const content = render(item);
      show(element, content !== null);
      element.replaceChildren(...(content === null ? [] : [content]));
    },
  };
}

function userMessage(item: ThreadItem): Node | null {
  if (item.type !== "user_message") return null;
  const bubble = h("div", { class: "bubble" });
  for (const part of item.content) bubble.append(part.type === "input_tag" ? h("span", { class: "tag", text: part.text }) : part.text);
  const attachments = item.attachments ?? [];
  return h(
    "div",
    { class: "user" },
    h("span", { class: "sr-only", text: "You said:" }),
    item.quoted_text ? h("blockquote", { class: "quoted", text: item.quoted_text }) : null,
    bubble,
    attachments.length > 0 && h("div", { class: "attachments" }, ...attachments.map(({ name }) => h("span", { class: "tag", text: name }))),
  );
}

function sourceNode(source: Source): Node {
  const href = source.url ? safeHref(source.url) : null;
  if (href === null) return h("span", { class: "source", text: source.title });
  return h("a", { class: "source", text: source.title, attributes: { href, target: "_blank", rel: "noopener noreferrer nofollow" } });
}

/** An assistant message keeps one growing view for each of its parts. */
class AssistantView implements ItemView {
  readonly element = h("li", { class: "item item-assistant" });
  private readonly parts: { readonly text: MarkdownView; readonly sources: HTMLElement; shown: number }[] = [];

  constructor() {
    this.element.append(h("span", { class: "sr-only", text: "The assistant said:" }));
  }

  update(item: AssistantMessageItem): void {
    item.content.forEach((content, index) => {
      const part = this.part(index);
      part.text.set(content.text);
      const annotations = content.annotations ?? [];
      if (annotations.length !== part.shown) {
        part.sources.replaceChildren(...annotations.map(({ source }) => sourceNode(source)));
        part.shown = annotations.length;
        show(part.sources, annotations.length > 0);
      }
    });
  }

  private part(index: number) {
    for (let at = this.parts.length; at <= index; at += 1) {
      const part = { text: new MarkdownView(), sources: h("div", { class: "sources" }), shown: 0 };
      show(part.sources, false);
      this.parts.push(part);
      this.element.append(part.text.element, part.sources);
    }
    return this.parts[index] as (typeof this.parts)[number];
  }
}

class WidgetItemView implements ItemView {
  readonly element = h("li", { class: "item item-widget" });
  private item: WidgetItem | null = null;
  private readonly widget: WidgetView;

  constructor(context: ItemContext) {
    this.widget = new WidgetView(
      () => context.imageDomains(),
      (action) => this.item && context.act(action, this.item),
    );
    this.element.append(this.widget.element);
  }

  update(item: WidgetItem): void {
    this.item = item;
    this.widget.update(item.widget);
  }
}

function taskNode(task: Task): Node {
  const mark = task.status_indicator === "loading" ? "loading" : task.status_indicator === "complete" ? "check" : "dot";
  const text = task.title ?? task.content ?? "Step";
  return h("li", { class: `task task-${task.status_indicator ?? "none"}` }, icon(mark, 14), h("span", { text }));
}

function workflow({ workflow: flow }: WorkflowItem): Node {
  const summary = flow.summary?.title ?? (flow.summary?.duration === undefined ? "Steps" : `Thought for ${flow.summary.duration} s`);
  return h(
    "details",
    { class: "workflow", attributes: { open: flow.expanded === true || !flow.summary } },
    h("summary", { text: summary }),
    h("ul", {}, ...flow.tasks.map(taskNode)),
  );
}

function generatedImage(item: ThreadItem, context: ItemContext): Node | null {
  if (item.type !== "generated_image") return null;
  if (!item.image) return h("div", { class: "note" }, icon("loading", 14), "Making a picture…");
  const allowed = isAllowedImage(item.image.url, context.imageDomains());
  return allowed ? h("img", { class: "w-image", attributes: { src: item.image.url, alt: "Generated picture" } }) : h("p", { class: "note", text: "Picture not shown" });
}

function note(text: string): (item: ThreadItem) => Node {
  return () => h("p", { class: "note", text });
}

const SILENT = new Set<string>(["end_of_turn", "hidden_context_item", "sdk_hidden_context", "client_tool_call"]);

/** The view for an item. An item of an unknown kind says that it cannot be shown. */
export function createItemView(item: ThreadItem, context: ItemContext): ItemView {
  switch (item.type) {
    case "user_message":
      return simpleView("user", userMessage);
    case "assistant_message":
      return new AssistantView() as ItemView;
    case "widget":
      return new WidgetItemView(context) as ItemView;
    case "workflow":
      return simpleView("workflow", (current) => (current.type === "workflow" ? workflow(current) : null));
    case "task":
      return simpleView("workflow", (current) => (current.type === "task" ? h("ul", { class: "workflow" }, taskNode(current.task)) : null));
    case "generated_image":
      return simpleView("image", (current) => generatedImage(current, context));
    case "structured_input":
      return simpleView("note", (current) => (current.type === "structured_input" ? h("p", { class: "note", text: current.inputs.map(({ question }) => question).join(" ") }) : null));
    default:
      return simpleView("note", SILENT.has((item as ThreadItem).type) ? () => null : note("This part of the conversation cannot be shown here."));
  }
}
