/** What a `thread.item.updated` event does to its item. */
import type { AssistantContent, AssistantMessageItem, ItemUpdate, ThreadItem, WorkflowItem } from "./protocol";
import { appendValue, changeComponent } from "./widget-tree";

type AssistantUpdate = Extract<ItemUpdate, { type: `assistant_message.${string}` }>;
type WorkflowUpdate = Extract<ItemUpdate, { type: `workflow.${string}` }>;

const EMPTY_CONTENT: AssistantContent = { type: "output_text", text: "", annotations: [] };

function withEntry<T>(list: readonly T[], index: number, entry: T): T[] {
  const copy = [...list];
  copy[index] = entry;
  return copy;
}

function inserted<T>(list: readonly T[], index: number, entry: T): T[] {
  return [...list.slice(0, index), entry, ...list.slice(index)];
}

function updatedContent(content: AssistantContent, update: AssistantUpdate): AssistantContent {
  switch (update.type) {
    case "assistant_message.content_part.added":
    case "assistant_message.content_part.done":
      return { ...EMPTY_CONTENT, ...update.content };
    case "assistant_message.content_part.text_delta":
      return { ...content, text: content.text + update.delta };
    case "assistant_message.content_part.annotation_added":
      return { ...content, annotations: withEntry(content.annotations, update.annotation_index, update.annotation) };
  }
}

/** Parts may come in any order; the ones in between are empty until they come. */
function updatedMessage(item: AssistantMessageItem, update: AssistantUpdate): AssistantMessageItem {
  const content = [...item.content];
  while (content.length <= update.content_index) content.push(EMPTY_CONTENT);
  content[update.content_index] = updatedContent(content[update.content_index] ?? EMPTY_CONTENT, update);
  return { ...item, content };
}

function updatedWorkflow(item: WorkflowItem, update: WorkflowUpdate): WorkflowItem {
  const { tasks } = item.workflow;
  const change = update.type === "workflow.task.added" ? inserted : withEntry;
  return { ...item, workflow: { ...item.workflow, tasks: change(tasks, update.task_index, update.task) } };
}

/** The item after `update`; an update that does not fit the item, or is of an unknown kind, changes nothing. */
export function updatedItem(item: ThreadItem, update: ItemUpdate): ThreadItem {
  switch (update.type) {
    case "assistant_message.content_part.added":
    case "assistant_message.content_part.text_delta":
    case "assistant_message.content_part.annotation_added":
    case "assistant_message.content_part.done":
      return item.type === "assistant_message" ? updatedMessage(item, update) : item;
    case "widget.root.updated":
      return item.type === "widget" ? { ...item, widget: update.widget } : item;
    case "widget.component.updated":
      if (item.type !== "widget") return item;
      return { ...item, widget: changeComponent(item.widget, update.component_id, () => update.component) };
    case "widget.streaming_text.value_delta":
      if (item.type !== "widget") return item;
      return {
        ...item,
        widget: changeComponent(item.widget, update.component_id, (component) => appendValue(component, update.delta, update.done)),
      };
    case "workflow.task.added":
    case "workflow.task.updated":
      return item.type === "workflow" ? updatedWorkflow(item, update) : item;
    case "generated_image.updated":
      return item.type === "generated_image" ? { ...item, image: update.image } : item;
    default:
      return item;
  }
}
