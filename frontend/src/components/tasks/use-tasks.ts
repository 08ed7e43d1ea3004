"use client";

import { useCallback, useEffect, useRef, useState } from "react";

import { ApiError } from "@/lib/problem";
import { announceTaskChange, onTaskChange } from "@/lib/task-changes";
import { createTask, deleteTask, listTasks, updateTask, type Task, type TaskChange } from "@/lib/tasks";

/** How often a visible page asks for changes that nobody announced to it, in milliseconds. */
const POLL_MS = 15_000;

function textOf(error: unknown): string {
  return error instanceof ApiError ? error.message : "Something went wrong. Try again.";
}

function patched(tasks: readonly Task[], id: string, change: TaskChange): Task[] {
  return tasks.map((task) => (task.id === id ? { ...task, ...change } : task));
}

export interface Tasks {
  /** Null until the first answer. */
  readonly tasks: readonly Task[] | null;
  /** Why the list could not be loaded. */
  readonly loadFailure: string | null;
  /** Why the last change was not made. */
  readonly changeFailure: string | null;
  reload(): void;
  add(title: string): Promise<boolean>;
  change(id: string, change: TaskChange): Promise<boolean>;
  remove(id: string): Promise<boolean>;
}

/** Loads the list when the page is shown, focused or told of a change, and every few seconds while it is visible. */
function useRefresh(load: () => Promise<void>): void {
  useEffect(() => {
    const refresh = () => {
      if (document.visibilityState === "visible") void load();
    };
    void load();
    const stopListening = onTaskChange(() => void load());
    const timer = setInterval(refresh, POLL_MS);
    window.addEventListener("focus", refresh);
    document.addEventListener("visibilitychange", refresh);
    return () => {
      stopListening();
      clearInterval(timer);
      window.removeEventListener("focus", refresh);
      document.removeEventListener("visibilitychange", refresh);
    };
  }, [load]);
}

/** The task list: what is shown at once is corrected by what the server says. */
export function useTasks(userId: string): Tasks {
  const [tasks, setTasks] = useState<readonly Task[] | null>(null);
  const [loadFailure, setLoadFailure] = useState<string | null>(null);
  const [changeFailure, setChangeFailure] = useState<string | null>(null);
  // Changes under way: an answer that was asked for before one of them is out of date.
  const version = useRef(0);
  const inFlight = useRef<AbortController | null>(null);

  const load = useCallback(async () => {
    inFlight.current?.abort();
    const controller = new AbortController();
    inFlight.current = controller;
    const asked = version.current;
    try {
      const loaded = await listTasks(userId, controller.signal);
      if (asked !== version.current) return;
      setTasks(loaded);
      setLoadFailure(null);
    } catch (error) {
      if (!controller.signal.aborted) setLoadFailure(textOf(error));
    }
  }, [userId]);

  useRefresh(load);

  const mutate = useCallback(
    async (show: (tasks: readonly Task[]) => readonly Task[], send: () => Promise<unknown>) => {
      version.current += 1;
      setChangeFailure(null);
      setTasks((current) => current && show(current));
      try {
        await send();
        announceTaskChange();
        return true;
      } catch (error) {
        setChangeFailure(textOf(error));
        return false;
      } finally {
        version.current += 1;
        await load();
      }
    },
    [load],
  );

  const reload = useCallback(() => {
    setLoadFailure(null);
    void load();
  }, [load]);

  return {
    tasks,
    loadFailure,
    changeFailure,
    reload,
    add: (title) => mutate((current) => current, () => createTask(userId, title)),
    change: (id, change) => mutate((current) => patched(current, id, change), () => updateTask(userId, id, change)),
    remove: (id) => mutate((current) => current.filter((task) => task.id !== id), () => deleteTask(userId, id)),
  };
}
