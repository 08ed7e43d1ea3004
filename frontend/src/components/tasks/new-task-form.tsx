"use client";

import { LoaderCircleIcon, PlusIcon } from "lucide-react";
import { useRef, useState, type FormEvent } from "react";

import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";

export const TITLE_MAX_LENGTH = 200;

export function NewTaskForm({ onAdd }: { onAdd: (title: string) => Promise<boolean> }) {
  const [title, setTitle] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  async function onSubmit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const trimmed = title.trim();
    if (!trimmed || busy) return;
    setBusy(true);
    if (await onAdd(trimmed)) setTitle("");
    setBusy(false);
    input.current?.focus();
  }

  return (
    <form onSubmit={(event) => void onSubmit(event)} className="flex gap-2">
      <Input
        ref={input}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        maxLength={TITLE_MAX_LENGTH}
        placeholder="What needs doing?"
        aria-label="Title of the new task"
        className="h-11"
      />
      <Button type="submit" disabled={!title.trim() || busy} className="h-11">
        {busy ? <LoaderCircleIcon className="animate-spin" aria-hidden /> : <PlusIcon aria-hidden />}
        <span>
          Add <span className="sr-only sm:not-sr-only">task</span>
        </span>
      </Button>
    </form>
  );
}
