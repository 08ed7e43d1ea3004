import { CircleAlertIcon, MessageCircleIcon, RotateCwIcon } from "lucide-react";
import Link from "next/link";

import { Button } from "@/components/ui/button";
import { Skeleton } from "@/components/ui/skeleton";

/** What the list shows while there is nothing to list. */

export function LoadingTasks() {
  return (
    <div role="status" className="divide-y">
      <span className="sr-only">Loading your tasks</span>
      {["w-3/5", "w-2/5", "w-1/2"].map((width) => (
        <div key={width} className="flex items-center gap-3.5 px-5 py-4">
          <Skeleton className="size-5 rounded-full" />
          <Skeleton className={`h-4 ${width}`} />
        </div>
      ))}
    </div>
  );
}

export function FailedTasks({ reason, onRetry }: { reason: string; onRetry: () => void }) {
  return (
    <div role="alert" className="grid justify-items-center gap-3 px-6 py-14 text-center">
      <CircleAlertIcon className="size-7 text-destructive" aria-hidden />
      <p className="font-medium">Your tasks could not be loaded</p>
      <p className="max-w-sm text-sm text-muted-foreground">{reason}</p>
      <Button variant="outline" size="sm" onClick={onRetry}>
        <RotateCwIcon /> Try again
      </Button>
    </div>
  );
}

const EMPTY_TEXTS = {
  all: { title: "Nothing here yet", text: "Add your first task above, or tell the assistant what you have in mind." },
  pending: { title: "All done", text: "There is nothing left to do." },
  completed: { title: "Nothing completed yet", text: "Tasks that you tick off end up here." },
} as const;

export function NoTasks({ filter }: { filter: keyof typeof EMPTY_TEXTS }) {
  const { title, text } = EMPTY_TEXTS[filter];
  return (
    <div className="grid justify-items-center gap-2 px-6 py-14 text-center">
      <svg viewBox="0 0 48 48" className="mb-1 size-12" aria-hidden fill="none" strokeWidth="2.5" strokeLinecap="round" strokeLinejoin="round">
        <rect x="7" y="7" width="34" height="34" rx="11" className="fill-accent stroke-ring/30" />
        <path d="m16 24.5 5.5 5.5L32.5 18.5" className="stroke-accent-ink" />
      </svg>
      <p className="font-medium">{title}</p>
      <p className="max-w-sm text-sm text-muted-foreground">{text}</p>
      {filter === "all" && (
        <Button asChild variant="outline" size="sm" className="mt-2">
          <Link href="/dashboard/chat">
            <MessageCircleIcon /> Open the chat
          </Link>
        </Button>
      )}
    </div>
  );
}
