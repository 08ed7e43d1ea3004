import { redirect } from "next/navigation";
import type { ReactNode } from "react";

import { Brand } from "@/components/brand";
import { MainNav } from "@/components/main-nav";
import { OneUser } from "@/components/one-user";
import { ThemeToggle } from "@/components/theme-toggle";
import { UserMenu } from "@/components/user-menu";
import { signedInUser } from "@/server/session";

/** The signed-in part of the site. proxy.ts looked for a cookie; here the session behind it is checked. */
export default async function DashboardLayout({ children }: { children: ReactNode }) {
  const user = await signedInUser();
  if (user === null) redirect("/sign-in");
  return (
    <div className="flex h-dvh flex-col">
      <OneUser userId={user.id} />
      <header className="z-10 shrink-0 border-b bg-background/80 backdrop-blur">
        <div className="mx-auto flex h-15 w-full max-w-6xl items-center justify-between gap-3 px-4 sm:px-6">
          <Brand href="/dashboard" compact />
          <MainNav />
          <div className="flex items-center gap-2">
            <ThemeToggle />
            <UserMenu name={user.name} email={user.email} />
          </div>
        </div>
      </header>
      {children}
    </div>
  );
}
