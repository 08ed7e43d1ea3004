"use client";

import { ListTodoIcon, MessageCircleIcon } from "lucide-react";
import Link from "next/link";
import { usePathname } from "next/navigation";

import { cn } from "@/lib/class-names";

const PAGES = [
  { href: "/dashboard", label: "Tasks", icon: ListTodoIcon },
  { href: "/dashboard/chat", label: "Chat", icon: MessageCircleIcon },
] as const;

/** Tasks and chat. */
export function MainNav() {
  const pathname = usePathname();
  return (
    <nav aria-label="Main" className="flex items-center gap-1 rounded-lg bg-secondary/70 p-1">
      {PAGES.map(({ href, label, icon: Icon }) => {
        const current = pathname === href;
        return (
          <Link
            key={href}
            href={href}
            aria-current={current ? "page" : undefined}
            className={cn(
              "flex h-8 items-center gap-2 rounded-md px-3 text-sm font-medium text-muted-foreground transition-colors outline-none hover:text-foreground focus-visible:ring-[3px] focus-visible:ring-ring/50",
              current && "bg-card text-foreground shadow-sm dark:bg-input",
            )}
          >
            <Icon className={cn("size-4", current && "text-accent-ink")} aria-hidden />
            {label}
          </Link>
        );
      })}
    </nav>
  );
}
