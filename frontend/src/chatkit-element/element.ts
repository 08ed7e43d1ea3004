/** The `<openai-chatkit>` element: ChatKit's contract, served by this page itself. */
import type { ChatKitEvents, ChatKitOptions, OpenAIChatKit, UserMessageContent } from "@openai/chatkit";

import { ApiClient, type ApiOptions } from "./api-client";
import { Conversation } from "./conversation";
import type { ConversationEvents } from "./conversation-events";
import type { ThreadMetadata, UserContent, UserMessageInput, WidgetItem } from "./protocol";
import { EMPTY_STATE, type ThreadState } from "./reducer";
import { styleSheets } from "./styles";
import { applyTheme } from "./theme";
import { Shell } from "./views/shell";
import type { ActionConfig } from "./widgets/view";

type SendParams = Parameters<OpenAIChatKit["sendUserMessage"]>[0];
type ComposerParams = Parameters<OpenAIChatKit["setComposerValue"]>[0];
/** What each `chatkit.` event carries. */
type EventDetails = {
  [K in keyof ChatKitEvents as K extends `chatkit.${infer Name}` ? Name : never]: ChatKitEvents[K] extends CustomEvent<infer Detail> ? Detail : never;
};

type CustomAction = Parameters<OpenAIChatKit["sendCustomAction"]>[0];

function apiOptions(options: ChatKitOptions): ApiOptions | null {
  return "url" in options.api ? { url: options.api.url, fetch: options.api.fetch } : null;
}

function contentOf(text: string | undefined, content: UserMessageContent[] | undefined): UserContent[] {
  if (content !== undefined) return content as UserContent[];
  return text ? [{ type: "input_text", text }] : [];
}

function inputOf(params: SendParams): UserMessageInput {
  return {
    content: contentOf(params.text, params.content),
    attachments: (params.attachments ?? []).map(({ id }) => id),
    quoted_text: params.reply ?? null,
    inference_options: {
      ...(params.toolChoice ? { tool_choice: params.toolChoice } : {}),
      ...(params.model ? { model: params.model } : {}),
    },
  };
}

/** Serves any ChatKit endpoint of one's own (`api.url`); a hosted one needs OpenAI's script. */
export class ThreadkeepChatKit extends HTMLElement implements Omit<OpenAIChatKit, "addEventListener" | "removeEventListener"> {
  private options: ChatKitOptions | null = null;
  private api: ApiClient | null = null;
  private conversation: Conversation | null = null;
  private state: ThreadState = EMPTY_STATE;
  private drawing = false;
  private left = false;
  private readonly shell: Shell;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = styleSheets();
    this.shell = new Shell({
      send: (text) => this.sendQuietly({ text }),
      sendPrompt: (prompt) => this.sendQuietly(typeof prompt === "string" ? { text: prompt } : { content: prompt }),
      stop: () => void this.conversation?.stop(),
      retry: () => void this.conversation?.retry().catch(() => undefined),
      startNew: () => void this.setThreadId(null).then(() => this.focusComposer()),
      loadOlder: () => void this.conversation?.loadOlder(),
      act: (action, item) => void this.runAction(action, item).catch((cause: unknown) => this.report(cause)),
      imageDomains: () => this.state.thread?.allowed_image_domains ?? null,
      openThread: (threadId) => void this.hideHistory().then(() => this.setThreadId(threadId)),
      deletedThread: (threadId) => this.conversation?.threadId === threadId && void this.setThreadId(null),
      renamedThread: (thread) => this.renamed(thread),
      showHistory: () => void this.showHistory(),
      hideHistory: () => void this.hideHistory(),
      error: (error) => this.report(error),
      api: () => this.api,
      options: () => this.options,
    });
    root.append(this.shell.element);
  }

  disconnectedCallback(): void {
    // React moves elements by removing and adding them; only one that stays away is closed.
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.conversation?.close();
      this.left = true;
    });
  }

  connectedCallback(): void {
    if (!this.left) return;
    this.left = false;
    void this.conversation?.reopen();
  }

  setOptions(options: ChatKitOptions): void {
    const first = this.options === null;
    const api = apiOptions(options);
    this.options = options;
    applyTheme(this, options.theme);
    if (api === null) return this.report(new Error("This element needs `api.url`, the address of a ChatKit endpoint."));
    if (first || this.api?.url !== api.url) this.connect(api, options.initialThread ?? null);
    // Another `fetch` may carry a newer secret.
    else this.api.options = api;
    this.draw();
    if (first) this.afterHandlers(() => this.emit("ready"));
  }

  async focusComposer(): Promise<void> {
    this.shell.composer.focus();
  }

  async setThreadId(threadId: string | null): Promise<void> {
    const conversation = this.required();
    if (threadId === null) conversation.startNew();
    else if (threadId !== conversation.threadId) await conversation.open(threadId);
  }

  async sendUserMessage(params: SendParams): Promise<void> {
    if (params.newThread) await this.setThreadId(null);
    await this.required().send(inputOf(params));
  }

  async setComposerValue(params: ComposerParams): Promise<void> {
    this.shell.composer.value = contentOf(params.text, params.content).map(({ text }) => text).join("");
  }

  async fetchUpdates(): Promise<void> {
    await this.required().refresh();
  }

  async sendCustomAction(action: CustomAction, itemId?: string): Promise<void> {
    await this.required().act(action, itemId ?? null, true);
  }

  async showHistory(): Promise<void> {
    if (this.options?.history?.enabled === false || this.shell.history.isOpen) return;
    this.emit("history.open");
    await this.shell.history.open(this.conversation?.threadId ?? null);
  }

  async hideHistory(): Promise<void> {
    if (!this.shell.history.isOpen) return;
    this.shell.history.close();
    this.emit("history.close");
  }

  private connect(options: ApiOptions, initialThread: string | null): void {
    this.conversation?.close();
    this.api = new ApiClient(options);
    this.conversation = new Conversation(this.api, this.conversationEvents());
    if (initialThread === null) this.conversation.startNew();
    else void this.conversation.open(initialThread);
  }

  private conversationEvents(): ConversationEvents {
    return {
      changed: (state) => {
        const turned = state.activity !== this.state.activity || state.runId !== this.state.runId;
        this.state = state;
        // What can be done now shows at once; the words of an answer once a frame.
        if (turned) this.draw();
        else this.schedule();
      },
      threadChanged: (threadId) => this.afterHandlers(() => this.emit("thread.change", { threadId })),
      loadStarted: (threadId) => this.emit("thread.load.start", { threadId }),
      loadEnded: (threadId) => this.emit("thread.load.end", { threadId }),
      responseStarted: () => this.emit("response.start"),
      responseEnded: () => {
        this.shell.announce(this.state);
        this.emit("response.end");
      },
      effect: (name, data) => this.emit("effect", { name, data }),
      error: (error) => this.report(error),
      clientTool: async (name, params) => this.options?.onClientTool?.({ name, params }),
    };
  }

  private required(): Conversation {
    if (this.conversation === null) throw new Error("Call setOptions() first.");
    return this.conversation;
  }

  /** What went wrong is shown in the conversation, and told to the page by an event. What is not shown there to be sent
   * again goes back to the field. */
  private sendQuietly(params: SendParams): void {
    this.sendUserMessage(params).catch(() => {
      const { composer } = this.shell;
      if (this.state.pending === null && composer.value === "") composer.value = params.text ?? "";
    });
  }

  private async runAction(action: ActionConfig, item: WidgetItem): Promise<void> {
    const { handler = "server", streaming = true, ...plain } = action;
    if (handler === "client") return this.options?.widgets?.onAction?.(plain, item as never);
    const acted = this.conversation?.act({ type: plain.type, payload: plain.payload ?? {} }, item.id, streaming);
    // What goes wrong with a streamed answer is told by the conversation. Beside another one, the action does nothing.
    await (streaming ? acted?.catch(() => undefined) : acted);
  }

  private renamed(thread: ThreadMetadata): void {
    if (this.conversation?.threadId === thread.id) this.conversation.refresh().catch((cause: unknown) => this.report(cause));
  }

  /** Draws at most once a frame, however many events come in; a hidden page draws when it is seen again. */
  private schedule(): void {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  private draw(): void {
    if (this.options !== null) this.shell.update(this.state, this.options);
  }

  /** Frameworks attach their listeners after the element is set up; events wait until then. */
  private afterHandlers(action: () => void): void {
    setTimeout(action);
  }

  private report(cause: unknown): void {
    this.emit("error", { error: cause instanceof Error ? cause : new Error(String(cause)) });
  }

  private emit<K extends keyof EventDetails>(name: K, ...[detail]: EventDetails[K] extends void ? [] : [EventDetails[K]]): void {
    this.dispatchEvent(new CustomEvent(`chatkit.${name}`, { detail, bubbles: true, composed: true }));
  }
}
