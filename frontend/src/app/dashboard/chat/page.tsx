import type { Metadata } from "next";
import { redirect } from "next/navigation";

import { ChatPanel } from "@/components/chat/chat-panel";
import { signedInUser } from "@/server/session";
import { settings } from "@/server/settings";

export const metadata: Metadata = { title: "Chat" };

export default async function ChatPage() {
  const user = await signedInUser();
  if (user === null) redirect("/sign-in");
  return (
    <main className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Chat</h1>
      <ChatPanel userId={user.id} chatkit={settings().chatkit} />
    </main>
  );
}
