import { CircleAlertIcon } from "lucide-react";

import { Alert } from "@/components/ui/alert";

/** The way to a new session. It opens beside this page, on which nothing of what was written is lost. */
export function SessionEnded() {
  return (
    <div className="mx-auto w-full max-w-3xl px-5 pt-3">
      <Alert variant="destructive" data-testid="session-ended">
        <CircleAlertIcon aria-hidden />
        <p>
          Your session has ended.{" "}
          <a href="/sign-in" target="_blank" rel="noopener" className="font-medium underline underline-offset-4">
            Sign in in a new tab
          </a>
          , then come back and try again.
        </p>
      </Alert>
    </div>
  );
}
