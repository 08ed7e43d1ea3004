/** The ChatKit wire protocol as this element reads it (chatkit/types.py of `openai-chatkit`). */

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly after: string | null;
}

export interface ThreadMetadata {
  readonly id: string;
  readonly title: string | null;
  readonly created_at: string;
  readonly status?: { readonly type: "active" | "locked" | "closed"; readonly reason?: string | null };
  readonly allowed_image_domains?: readonly string[] | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface Thread extends ThreadMetadata {
  readonly items: Page<ThreadItem>;
}

interface ItemBase {
  readonly id: string;
  readonly thread_id: string;
  readonly created_at: string;
}

export interface UserContent {
  readonly type: "input_text" | "input_tag";
  readonly text: string;
  readonly [key: string]: unknown;
}

export interface Source {
  readonly type: "url" | "file" | "entity";
  readonly title: string;
  readonly url?: string;
}

export interface Annotation {
  readonly type: "annotation";
  readonly source: Source;
  readonly index?: number | null;
}

export interface AssistantContent {
  readonly type: "output_text";
  readonly text: string;
  readonly annotations: readonly Annotation[];
}

export interface UserMessageItem extends ItemBase {
  readonly type: "user_message";
  readonly content: readonly UserContent[];
  readonly attachments?: readonly { readonly id: string; readonly name: string }[];
  readonly quoted_text?: string | null;
}

export interface AssistantMessageItem extends ItemBase {
  readonly type: "assistant_message";
  readonly content: readonly AssistantContent[];
}

/** A node of a widget; which properties it has depends on its type. */
export interface WidgetComponent {
  readonly type: string;
  readonly id?: string;
  readonly key?: string;
  readonly children?: WidgetComponent | readonly WidgetComponent[] | null;
  readonly [property: string]: unknown;
}

export interface WidgetItem extends ItemBase {
  readonly type: "widget";
  readonly widget: WidgetComponent;
  readonly copy_text?: string | null;
}

export interface Task {
  readonly type: string;
  readonly title?: string | null;
  readonly content?: string | null;
  readonly status_indicator?: "none" | "loading" | "complete";
}

export interface TaskItem extends ItemBase {
  readonly type: "task";
  readonly task: Task;
}

export interface WorkflowItem extends ItemBase {
  readonly type: "workflow";
  readonly workflow: {
    readonly type: string;
    readonly tasks: readonly Task[];
    readonly summary?: { readonly title?: string; readonly duration?: number } | null;
    readonly expanded?: boolean;
  };
}

export interface GeneratedImageItem extends ItemBase {
  readonly type: "generated_image";
  readonly image?: { readonly id: string; readonly url: string } | null;
}

export interface ClientToolCallItem extends ItemBase {
  readonly type: "client_tool_call";
  readonly status: "pending" | "completed";
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface StructuredInputItem extends ItemBase {
  readonly type: "structured_input";
  readonly inputs: readonly { readonly id: string; readonly question: string }[];
}

export interface SilentItem extends ItemBase {
  readonly type: "end_of_turn" | "hidden_context_item" | "sdk_hidden_context";
}

export type ThreadItem =
  | UserMessageItem
  | AssistantMessageItem
  | WidgetItem
  | TaskItem
  | WorkflowItem
  | GeneratedImageItem
  | ClientToolCallItem
  | StructuredInputItem
  | SilentItem;

export type ItemUpdate =
  | { readonly type: "assistant_message.content_part.added"; readonly content_index: number; readonly content: AssistantContent }
  | { readonly type: "assistant_message.content_part.text_delta"; readonly content_index: number; readonly delta: string }
  | {
      readonly type: "assistant_message.content_part.annotation_added";
      readonly content_index: number;
      readonly annotation_index: number;
      readonly annotation: Annotation;
    }
  | { readonly type: "assistant_message.content_part.done"; readonly content_index: number; readonly content: AssistantContent }
  | { readonly type: "widget.streaming_text.value_delta"; readonly component_id: string; readonly delta: string; readonly done: boolean }
  | { readonly type: "widget.root.updated"; readonly widget: WidgetComponent }
  | { readonly type: "widget.component.updated"; readonly component_id: string; readonly component: WidgetComponent }
  | { readonly type: "workflow.task.added"; readonly task_index: number; readonly task: Task }
  | { readonly type: "workflow.task.updated"; readonly task_index: number; readonly task: Task }
  | { readonly type: "generated_image.updated"; readonly image: { readonly id: string; readonly url: string } };

export type NoticeLevel = "info" | "warning" | "danger";

export type ThreadEvent =
  | { readonly type: "thread.created"; readonly thread: ThreadMetadata }
  | { readonly type: "thread.updated"; readonly thread: ThreadMetadata }
  | { readonly type: "thread.item.added"; readonly item: ThreadItem }
  | { readonly type: "thread.item.updated"; readonly item_id: string; readonly update: ItemUpdate }
  | { readonly type: "thread.item.done"; readonly item: ThreadItem }
  | { readonly type: "thread.item.removed"; readonly item_id: string }
  | { readonly type: "thread.item.replaced"; readonly item: ThreadItem }
  | { readonly type: "stream_options"; readonly stream_options: { readonly allow_cancel: boolean } }
  | { readonly type: "progress_update"; readonly text: string; readonly icon?: string | null }
  | { readonly type: "client_effect"; readonly name: string; readonly data?: Record<string, unknown> }
  | { readonly type: "error"; readonly code: string; readonly message?: string | null; readonly allow_retry?: boolean }
  | { readonly type: "notice"; readonly level: NoticeLevel; readonly message: string; readonly title?: string | null };

export interface UserMessageInput {
  readonly content: readonly UserContent[];
  readonly attachments: readonly string[];
  readonly quoted_text: string | null;
  readonly inference_options: { readonly tool_choice?: { readonly id: string }; readonly model?: string };
}

export interface WidgetAction {
  readonly type: string;
  readonly payload?: Record<string, unknown>;
}

/** Requests that are answered with a stream of events. */
export type StreamingRequest =
  | { readonly type: "threads.create"; readonly params: { readonly input: UserMessageInput } }
  | { readonly type: "threads.add_user_message"; readonly params: { readonly thread_id: string; readonly input: UserMessageInput } }
  | { readonly type: "threads.retry_after_item"; readonly params: { readonly thread_id: string; readonly item_id: string } }
  | { readonly type: "threads.add_client_tool_output"; readonly params: { readonly thread_id: string; readonly result: unknown } }
  | {
      readonly type: "threads.custom_action";
      readonly params: { readonly thread_id: string; readonly item_id: string | null; readonly action: WidgetAction };
    };

interface PageParams {
  readonly limit: number;
  readonly order: "asc" | "desc";
  readonly after?: string;
}

/** Requests that are answered with one JSON document, and what that document is. */
export interface JsonRequests {
  "threads.get_by_id": { readonly params: { readonly thread_id: string }; readonly answer: Thread };
  "threads.list": { readonly params: PageParams; readonly answer: Page<ThreadMetadata> };
  "threads.update": { readonly params: { readonly thread_id: string; readonly title: string }; readonly answer: ThreadMetadata };
  "threads.delete": { readonly params: { readonly thread_id: string }; readonly answer: unknown };
  "items.list": { readonly params: PageParams & { readonly thread_id: string }; readonly answer: Page<ThreadItem> };
  "threads.sync_custom_action": {
    readonly params: { readonly thread_id: string; readonly item_id: string | null; readonly action: WidgetAction };
    readonly answer: { readonly updated_item?: ThreadItem | null };
  };
}
