"use client";

import { RotateCwIcon } from "lucide-react";

import { Button } from "@/components/ui/button";

export default function DashboardError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <main className="grid flex-1 place-content-center gap-4 px-6 text-center" role="alert">
      <h1 className="text-lg font-semibold">This page could not be shown</h1>
      <p className="text-sm text-muted-foreground">
        Something went wrong on our side{error.digest ? ` (${error.digest})` : ""}. Your data is safe.
      </p>
      <Button variant="outline" className="mx-auto" onClick={reset}>
        <RotateCwIcon /> Try again
      </Button>
    </main>
  );
}
