import Link from "next/link";

import { Button } from "@/components/ui/button";

export default function NotFound() {
  return (
    <main className="grid min-h-dvh place-content-center gap-4 px-6 text-center">
      <h1 className="text-2xl font-semibold tracking-tight">There is no such page</h1>
      <p className="text-sm text-muted-foreground">The address may be old or mistyped.</p>
      <Button asChild variant="outline" className="mx-auto">
        <Link href="/">Go to the start page</Link>
      </Button>
    </main>
  );
}
