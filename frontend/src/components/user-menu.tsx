"use client";

import { LogOutIcon } from "lucide-react";
import { useState } from "react";

import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import { authClient } from "@/lib/auth-client";

function initials(name: string): string {
  const parts = name.trim().split(/\s+/);
  const letters = parts.length > 1 ? [parts[0], parts.at(-1)] : [parts[0]];
  return letters.map((part) => Array.from(part ?? "")[0] ?? "").join("").toUpperCase() || "?";
}

export function UserMenu({ name, email }: { name: string; email: string }) {
  const [failure, setFailure] = useState<string | null>(null);

  async function signOut(): Promise<void> {
    const { error } = await authClient.signOut();
    if (error) {
      setFailure(error.message ?? "Signing out failed. Try again.");
      return;
    }
    // eslint-disable-next-line @next/next/no-location-assign-relative-destination -- a full load: nothing of this user's may stay in the page's memory
    window.location.assign("/sign-in");
  }

  return (
    <DropdownMenu>
      <DropdownMenuTrigger
        aria-label="Your account"
        data-testid="user-menu"
        className="grid size-9 cursor-pointer place-content-center rounded-full bg-accent text-xs font-semibold text-accent-foreground ring-1 ring-ring/30 transition-shadow outline-none hover:ring-2 focus-visible:ring-[3px] focus-visible:ring-ring/60"
      >
        {initials(name)}
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end">
        <DropdownMenuLabel>
          <p className="max-w-56 truncate font-medium">{name}</p>
          <p className="max-w-56 truncate text-xs text-muted-foreground">{email}</p>
        </DropdownMenuLabel>
        <DropdownMenuSeparator />
        <DropdownMenuItem
          data-testid="sign-out"
          onSelect={(event) => {
            event.preventDefault();
            void signOut();
          }}
        >
          <LogOutIcon /> Sign out
        </DropdownMenuItem>
        {failure && (
          <p role="alert" className="px-2.5 py-2 text-xs text-destructive">
            {failure}
          </p>
        )}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
