"use client";

import { CircleAlertIcon } from "lucide-react";
import { useState } from "react";

import { Alert } from "@/components/ui/alert";
import { Card } from "@/components/ui/card";
import { ToggleGroup, ToggleGroupItem } from "@/components/ui/toggle-group";
import { MAX_TASKS, type Task } from "@/lib/tasks";

import { NewTaskForm } from "./new-task-form";
import { DeleteTaskDialog, EditTaskDialog } from "./task-dialogs";
import { TaskRow } from "./task-row";
import { FailedTasks, LoadingTasks, NoTasks } from "./task-states";
import { useTasks, type Tasks } from "./use-tasks";

type Filter = "all" | "pending" | "completed";
type OpenDialog = { readonly kind: "edit" | "delete"; readonly task: Task };

const FILTERS: readonly { value: Filter; label: string; matches: (task: Task) => boolean }[] = [
  { value: "all", label: "All", matches: () => true },
  { value: "pending", label: "To do", matches: (task) => !task.completed },
  { value: "completed", label: "Completed", matches: (task) => task.completed },
];

/** What is still to do comes first; within both halves the newest. */
function sorted(tasks: readonly Task[]): Task[] {
  return [...tasks].sort((a, b) => Number(a.completed) - Number(b.completed) || b.created_at.localeCompare(a.created_at));
}

function FilterBar({ tasks, filter, onFilter }: { tasks: readonly Task[]; filter: Filter; onFilter: (filter: Filter) => void }) {
  return (
    <ToggleGroup type="single" value={filter} aria-label="Which tasks to show" onValueChange={(value) => value && onFilter(value as Filter)}>
      {FILTERS.map(({ value, label, matches }) => (
        <ToggleGroupItem key={value} value={value}>
          {label} <span className="text-xs tabular-nums opacity-60">{tasks.filter(matches).length}</span>
        </ToggleGroupItem>
      ))}
    </ToggleGroup>
  );
}

function TaskList({ state, filter, onOpen }: { state: Tasks; filter: Filter; onOpen: (dialog: OpenDialog) => void }) {
  const { tasks, loadFailure } = state;
  if (tasks === null) return loadFailure === null ? <LoadingTasks /> : <FailedTasks reason={loadFailure} onRetry={state.reload} />;
  const matches = FILTERS.find(({ value }) => value === filter)?.matches ?? (() => true);
  const shown = sorted(tasks.filter(matches));
  if (shown.length === 0) return <NoTasks filter={filter} />;
  return (
    <ul aria-label="Tasks" className="divide-y overflow-hidden rounded-xl">
      {shown.map((task) => (
        <TaskRow
          key={task.id}
          task={task}
          onToggle={(completed) => void state.change(task.id, { completed })}
          onEdit={() => onOpen({ kind: "edit", task })}
          onDelete={() => onOpen({ kind: "delete", task })}
        />
      ))}
    </ul>
  );
}

function Dialogs({ dialog, state, onClose }: { dialog: OpenDialog | null; state: Tasks; onClose: () => void }) {
  if (dialog?.kind === "edit") {
    return <EditTaskDialog task={dialog.task} onClose={onClose} onSave={(change) => void state.change(dialog.task.id, change)} />;
  }
  if (dialog?.kind === "delete") {
    return <DeleteTaskDialog task={dialog.task} onClose={onClose} onDelete={() => void state.remove(dialog.task.id)} />;
  }
  return null;
}

/** The task list of the signed-in user. */
export function TaskBoard({ userId }: { userId: string }) {
  const state = useTasks(userId);
  const [filter, setFilter] = useState<Filter>("all");
  const [dialog, setDialog] = useState<OpenDialog | null>(null);
  const { tasks, loadFailure, changeFailure } = state;
  const stale = tasks !== null ? (changeFailure ?? loadFailure) : changeFailure;

  return (
    <div className="grid gap-4">
      <NewTaskForm onAdd={state.add} />
      {stale && (
        <Alert variant="destructive">
          <CircleAlertIcon aria-hidden />
          <p>{stale}</p>
        </Alert>
      )}
      <div className="mt-2 flex items-center justify-between gap-3">
        <FilterBar tasks={tasks ?? []} filter={filter} onFilter={setFilter} />
      </div>
      <Card>
        <TaskList state={state} filter={filter} onOpen={setDialog} />
      </Card>
      {tasks !== null && tasks.length >= MAX_TASKS && <p className="text-center text-sm text-muted-foreground">The newest {MAX_TASKS} tasks are shown.</p>}
      <Dialogs dialog={dialog} state={state} onClose={() => setDialog(null)} />
    </div>
  );
}
