"use client";

import { ChatKit, useChatKit, type StartScreenPrompt } from "@openai/chatkit-react";
import { useTheme } from "next-themes";
import { useEffect, useState } from "react";

import { lastThread, rememberThread } from "@/lib/last-thread";
import { ApiError } from "@/lib/problem";
import { announceTaskChange } from "@/lib/task-changes";

import { provideChatKit, type ChatKitSource } from "./chatkit-script";
import { SessionEnded } from "./session-ended";

export interface ChatSettings {
  readonly scriptUrl: string | null;
  readonly scriptTimeoutMs: number;
  readonly domainKey: string;
}

const ACCENT = "#0FFF50";

const SURFACES = {
  light: { background: "#f7f8f7", foreground: "#101411" },
  dark: { background: "#0a0d0b", foreground: "#ecf1ed" },
} as const;

const PROMPTS: StartScreenPrompt[] = [
  { icon: "plus", label: "Add a task to buy milk", prompt: "Add a task to buy milk" },
  { icon: "notebook", label: "What is on my list?", prompt: "What is on my list?" },
  { icon: "check-circle", label: "Complete the task buy milk", prompt: "Complete the task buy milk" },
];

function useChatKitSource({ scriptUrl, scriptTimeoutMs }: ChatSettings): ChatKitSource | null {
  const [source, setSource] = useState<ChatKitSource | null>(null);
  useEffect(() => {
    let mounted = true;
    void provideChatKit(scriptUrl, scriptTimeoutMs).then((found) => mounted && setSource(found));
    return () => {
      mounted = false;
    };
  }, [scriptUrl, scriptTimeoutMs]);
  return source;
}

/** Looks for what other tabs and devices have said in this conversation when this page is looked at again. */
function useRefresh(fetchUpdates: () => Promise<void>): void {
  useEffect(() => {
    const refresh = () => {
      // What is wrong shows as soon as something is done.
      if (document.visibilityState === "visible") void fetchUpdates().catch(() => undefined);
    };
    window.addEventListener("focus", refresh);
    document.addEventListener("visibilitychange", refresh);
    return () => {
      window.removeEventListener("focus", refresh);
      document.removeEventListener("visibilitychange", refresh);
    };
  }, [fetchUpdates]);
}

/** ChatKit on the user's own endpoint. Runs in the browser only: it starts with the thread that was open last. */
export default function ChatView({ userId, settings }: { userId: string; settings: ChatSettings }) {
  const source = useChatKitSource(settings);
  const { resolvedTheme } = useTheme();
  const [initialThread] = useState(() => lastThread(userId));
  const [sessionEnded, setSessionEnded] = useState(false);
  const colorScheme = resolvedTheme === "dark" ? "dark" : "light";

  const { control, sendCustomAction, fetchUpdates } = useChatKit({
    api: {
      url: `/api/${userId}/chatkit`,
      domainKey: settings.domainKey,
      fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
    },
    initialThread,
    theme: {
      colorScheme,
      radius: "pill",
      density: "normal",
      color: { accent: { primary: ACCENT, level: 1 }, surface: SURFACES[colorScheme] },
    },
    header: { enabled: true },
    history: { enabled: true, showDelete: true, showRename: true },
    startScreen: { greeting: "What needs doing?", prompts: PROMPTS },
    composer: { placeholder: "Add, find or finish a task…" },
    disclaimer: { text: "Answers can be wrong. Your list shows what was really done." },
    // An answer that is still being made is followed again after a reload. Our own element does so by itself.
    onThreadLoadEnd: () => {
      if (source === "openai") void sendCustomAction({ type: "run.resume", payload: {} });
    },
    onThreadLoadStart: () => setSessionEnded(false),
    onResponseStart: () => setSessionEnded(false),
    onError: ({ error }) => {
      if (error instanceof ApiError && error.status === 401) setSessionEnded(true);
    },
    onThreadChange: ({ threadId }) => rememberThread(userId, threadId),
    onEffect: ({ name }) => {
      if (name === "tasks.changed") announceTaskChange();
    },
    // The effect is lost with a lost connection; the end of an answer is a good moment to look in any case.
    onResponseEnd: () => announceTaskChange(),
  });

  useRefresh(fetchUpdates);

  return (
    <div className="flex h-full flex-col">
      {sessionEnded && <SessionEnded />}
      <ChatKit control={control} data-testid="chat" data-source={source ?? "loading"} className="block min-h-0 w-full flex-1" />
    </div>
  );
}
