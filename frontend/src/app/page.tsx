import { ArrowRightIcon, DatabaseIcon, ListTodoIcon, RefreshCwIcon } from "lucide-react";
import Link from "next/link";

import { Brand } from "@/components/brand";
import { ThemeToggle } from "@/components/theme-toggle";
import { Button } from "@/components/ui/button";
import { signedInUser } from "@/server/session";

const POINTS = [
  {
    icon: ListTodoIcon,
    title: "Say it, and it is on the list",
    text: "Add, complete, edit and find tasks in plain words. You see each step that the assistant takes.",
  },
  {
    icon: RefreshCwIcon,
    title: "Nothing gets lost",
    text: "Close the tab or lose the network in mid-answer. The answer goes on and waits for you.",
  },
  {
    icon: DatabaseIcon,
    title: "Your own database",
    text: "Conversations and tasks live in a Postgres that is yours, closed between users.",
  },
] as const;

function Sample() {
  return (
    <figure aria-label="An example conversation" className="w-full max-w-md rounded-2xl border bg-card p-5 shadow-[0_24px_80px_-32px_var(--glow),0_8px_32px_-16px_rgb(0_0_0/20%)]">
      <p className="ml-auto w-fit rounded-2xl rounded-br-md bg-secondary px-4 py-2.5 text-sm">Add a task to buy milk</p>
      <div className="mt-4 flex items-center justify-between gap-3 rounded-xl border px-4 py-3 text-sm">
        <span className="font-medium">Add task</span>
        <span className="rounded-full bg-primary px-2.5 py-0.5 text-xs font-semibold text-primary-foreground">Success</span>
      </div>
      <p className="mt-4 text-sm leading-relaxed">
        Done. <strong className="font-semibold">buy milk</strong> is on your list.
      </p>
    </figure>
  );
}

export default async function LandingPage() {
  const user = await signedInUser();
  return (
    <div className="relative isolate flex min-h-dvh flex-col overflow-hidden">
      <div aria-hidden className="absolute -top-72 left-1/2 -z-10 h-[36rem] w-[64rem] -translate-x-1/2 rounded-full bg-[radial-gradient(closest-side,var(--glow),transparent)]" />
      <header className="mx-auto flex w-full max-w-6xl items-center justify-between px-5 py-4 sm:px-8">
        <Brand />
        <div className="flex items-center gap-1.5">
          <ThemeToggle />
          <Button asChild variant="ghost">
            <Link href={user ? "/dashboard" : "/sign-in"}>{user ? "Open the dashboard" : "Sign in"}</Link>
          </Button>
        </div>
      </header>
      <main className="mx-auto grid w-full max-w-6xl flex-1 items-center gap-14 px-5 py-12 sm:px-8 lg:grid-cols-[1.15fr_1fr]">
        <div>
          <h1 className="text-4xl leading-[1.08] font-semibold tracking-tight text-balance sm:text-5xl xl:text-6xl">
            The todo list that you can{" "}
            <span className="bg-[linear-gradient(var(--primary),var(--primary))] bg-[length:100%_0.3em] bg-[position:0_88%] bg-no-repeat dark:bg-none dark:text-primary">talk to</span>
          </h1>
          <p className="mt-6 max-w-xl text-lg leading-relaxed text-pretty text-muted-foreground">
            Threadkeep keeps your tasks and every conversation about them, so that you can pick up any thread where you left it.
          </p>
          <div className="mt-8 flex flex-wrap gap-3">
            <Button asChild size="lg">
              <Link href={user ? "/dashboard/chat" : "/sign-up"}>
                {user ? "Go to the chat" : "Create an account"} <ArrowRightIcon />
              </Link>
            </Button>
            {!user && (
              <Button asChild size="lg" variant="outline">
                <Link href="/sign-in">Sign in</Link>
              </Button>
            )}
          </div>
        </div>
        <div className="flex justify-center lg:justify-end">
          <Sample />
        </div>
        <ul className="grid gap-8 border-t pt-10 sm:grid-cols-3 lg:col-span-2">
          {POINTS.map(({ icon: Icon, title, text }) => (
            <li key={title}>
              <Icon className="size-5 text-accent-ink" aria-hidden />
              <h2 className="mt-3 font-medium">{title}</h2>
              <p className="mt-1.5 text-sm leading-relaxed text-muted-foreground">{text}</p>
            </li>
          ))}
        </ul>
      </main>
    </div>
  );
}
