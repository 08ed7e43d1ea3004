import type { Metadata } from "next";
import { redirect } from "next/navigation";

import { TaskBoard } from "@/components/tasks/task-board";
import { signedInUser } from "@/server/session";

export const metadata: Metadata = { title: "Tasks" };

export default async function TasksPage() {
  const user = await signedInUser();
  if (user === null) redirect("/sign-in");
  return (
    <main className="flex-1 overflow-y-auto">
      <div className="mx-auto w-full max-w-3xl px-4 py-8 sm:px-6 sm:py-12">
        <h1 className="text-2xl font-semibold tracking-tight">Your tasks</h1>
        <p className="mt-1 mb-6 text-muted-foreground">What you add here, or ask the assistant to add, shows up at once.</p>
        <TaskBoard userId={user.id} />
      </div>
    </main>
  );
}
