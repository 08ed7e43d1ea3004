"use client";

import { PencilIcon, Trash2Icon } from "lucide-react";

import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { cn } from "@/lib/class-names";
import type { Task } from "@/lib/tasks";

interface TaskRowProps {
  readonly task: Task;
  readonly onToggle: (completed: boolean) => void;
  readonly onEdit: () => void;
  readonly onDelete: () => void;
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

export function TaskRow({ task, onToggle, onEdit, onDelete }: TaskRowProps) {
  const labelId = `task-${task.id}`;
  return (
    <li data-testid="task" className="group flex items-start gap-3.5 px-4 py-3.5 transition-colors hover:bg-muted/60 sm:px-5">
      <Checkbox className="mt-0.5" checked={task.completed} aria-labelledby={labelId} onCheckedChange={(checked) => onToggle(checked === true)} />
      <div className="min-w-0 flex-1">
        <p id={labelId} className={cn("leading-6 break-words transition-colors", task.completed && "text-muted-foreground line-through")}>
          {task.title}
        </p>
        {task.description && <p className="mt-0.5 text-sm break-words whitespace-pre-line text-muted-foreground">{task.description}</p>}
      </div>
      <time dateTime={task.created_at} className="mt-1 hidden text-xs text-muted-foreground sm:block" title={new Date(task.created_at).toLocaleString()}>
        {DAY.format(new Date(task.created_at))}
      </time>
      <div className="-my-1 flex gap-0.5 transition-opacity sm:opacity-0 sm:group-focus-within:opacity-100 sm:group-hover:opacity-100">
        <Button variant="ghost" size="icon" className="size-8" aria-label={`Edit ${task.title}`} onClick={onEdit}>
          <PencilIcon />
        </Button>
        <Button variant="ghost" size="icon" className="size-8 hover:text-destructive" aria-label={`Delete ${task.title}`} onClick={onDelete}>
          <Trash2Icon />
        </Button>
      </div>
    </li>
  );
}
