/** The tasks of the signed-in user, over the gateway's REST routes. */
import { request } from "./problem";

export interface Task {
  readonly id: string;
  readonly title: string;
  readonly description: string | null;
  readonly completed: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

export type TaskChange = Partial<Pick<Task, "title" | "description" | "completed">>;

interface Page {
  readonly data: Task[];
  readonly has_more: boolean;
  readonly after: string | null;
}

const PAGE_SIZE = 100;
/** More than this is not loaded at once; the list says so. */
export const MAX_TASKS = 1000;

const JSON_HEADERS = { "content-type": "application/json" };

/** All tasks, newest first, up to `MAX_TASKS`. */
export async function listTasks(userId: string, signal: AbortSignal): Promise<Task[]> {
  const tasks: Task[] = [];
  let after: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), order: "desc", ...(after === null ? {} : { after }) });
    const response = await request(`/api/${userId}/tasks?${query}`, { signal, cache: "no-store" });
    const page = (await response.json()) as Page;
    tasks.push(...page.data);
    after = page.has_more ? page.after : null;
  } while (after !== null && tasks.length < MAX_TASKS);
  return tasks;
}

export async function createTask(userId: string, title: string): Promise<Task> {
  const response = await request(`/api/${userId}/tasks`, { method: "POST", headers: JSON_HEADERS, body: JSON.stringify({ title }) });
  return (await response.json()) as Task;
}

export async function updateTask(userId: string, id: string, change: TaskChange): Promise<Task> {
  const response = await request(`/api/${userId}/tasks/${id}`, { method: "PATCH", headers: JSON_HEADERS, body: JSON.stringify(change) });
  return (await response.json()) as Task;
}

export async function deleteTask(userId: string, id: string): Promise<void> {
  await request(`/api/${userId}/tasks/${id}`, { method: "DELETE" });
}
