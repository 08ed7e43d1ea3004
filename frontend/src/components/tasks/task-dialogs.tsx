"use client";

import type { FormEvent } from "react";

import { Button } from "@/components/ui/button";
import { Dialog, DialogClose, DialogContent, DialogDescription, DialogFooter, DialogTitle } from "@/components/ui/dialog";
import { Input, Textarea } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import type { Task, TaskChange } from "@/lib/tasks";

import { TITLE_MAX_LENGTH } from "./new-task-form";

const DESCRIPTION_MAX_LENGTH = 2000;

export function EditTaskDialog({ task, onClose, onSave }: { task: Task; onClose: () => void; onSave: (change: TaskChange) => void }) {
  function onSubmit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const title = String(form.get("title") ?? "").trim();
    if (!title) return;
    onSave({ title, description: String(form.get("description") ?? "").trim() });
    onClose();
  }

  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent aria-describedby={undefined}>
        <DialogTitle>Edit task</DialogTitle>
        <form onSubmit={onSubmit} className="grid gap-4">
          <div className="grid gap-2">
            <Label htmlFor="task-title">Title</Label>
            <Input id="task-title" name="title" required maxLength={TITLE_MAX_LENGTH} defaultValue={task.title} />
          </div>
          <div className="grid gap-2">
            <Label htmlFor="task-description">Notes</Label>
            <Textarea id="task-description" name="description" maxLength={DESCRIPTION_MAX_LENGTH} defaultValue={task.description ?? ""} />
          </div>
          <DialogFooter>
            <DialogClose asChild>
              <Button type="button" variant="outline">
                Cancel
              </Button>
            </DialogClose>
            <Button type="submit">Save</Button>
          </DialogFooter>
        </form>
      </DialogContent>
    </Dialog>
  );
}

export function DeleteTaskDialog({ task, onClose, onDelete }: { task: Task; onClose: () => void; onDelete: () => void }) {
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent>
        <DialogTitle>Delete this task?</DialogTitle>
        <DialogDescription className="break-words">“{task.title}” will be gone for good.</DialogDescription>
        <DialogFooter>
          <DialogClose asChild>
            <Button variant="outline">Cancel</Button>
          </DialogClose>
          <Button
            variant="destructive"
            onClick={() => {
              onDelete();
              onClose();
            }}
          >
            Delete
          </Button>
        </DialogFooter>
      </DialogContent>
    </Dialog>
  );
}
