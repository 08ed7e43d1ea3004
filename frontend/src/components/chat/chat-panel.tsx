"use client";

import dynamic from "next/dynamic";

import { Skeleton } from "@/components/ui/skeleton";

import type { ChatSettings } from "./chat-view";
import { ModelNotice } from "./model-notice";

function LoadingChat() {
  return (
    <div role="status" className="mx-auto flex h-full w-full max-w-3xl flex-col justify-end gap-4 px-5 pb-6">
      <span className="sr-only">Loading the chat</span>
      <Skeleton className="h-14 w-full rounded-full" />
    </div>
  );
}

const ChatView = dynamic(() => import("./chat-view"), { ssr: false, loading: LoadingChat });

/** The chat page's content. */
export function ChatPanel({ userId, chatkit }: { userId: string; chatkit: ChatSettings }) {
  return (
    <>
      <ModelNotice userId={userId} />
      <div className="min-h-0 flex-1">
        <ChatView userId={userId} settings={chatkit} />
      </div>
    </>
  );
}
