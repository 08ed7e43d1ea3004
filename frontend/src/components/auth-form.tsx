"use client";

import { CircleAlertIcon, LoaderCircleIcon } from "lucide-react";
import Link from "next/link";
import { useState, type ComponentProps, type FormEvent } from "react";

import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card, CardContent, CardDescription, CardHeader, CardTitle } from "@/components/ui/card";
import { Input } from "@/components/ui/input";
import { Label } from "@/components/ui/label";
import { authClient } from "@/lib/auth-client";

type Mode = "sign-in" | "sign-up";

const PASSWORD_MIN_LENGTH = 8;

const TEXTS = {
  "sign-in": {
    title: "Welcome back",
    description: "Sign in to your tasks and conversations.",
    action: "Sign in",
    question: "New here?",
    other: { href: "/sign-up", label: "Create an account" },
  },
  "sign-up": {
    title: "Create your account",
    description: "An email address and a password are enough.",
    action: "Create account",
    question: "Already have an account?",
    other: { href: "/sign-in", label: "Sign in" },
  },
} as const;

interface AuthFailure {
  readonly status: number;
  readonly message?: string | undefined;
}

function failureText(error: AuthFailure): string {
  if (error.status === 429) return "Too many attempts. Wait a few seconds and try again.";
  if (error.status === 0) return "The server could not be reached. Check your connection and try again.";
  return error.message ?? "That did not work. Try again in a moment.";
}

async function submit(mode: Mode, form: FormData): Promise<string | null> {
  const text = (name: string) => String(form.get(name) ?? "").trim();
  const email = text("email");
  const password = String(form.get("password") ?? "");
  try {
    const { error } =
      mode === "sign-up"
        ? await authClient.signUp.email({ name: text("name"), email, password })
        : await authClient.signIn.email({ email, password });
    return error ? failureText(error) : null;
  } catch {
    return failureText({ status: 0 });
  }
}

function Field({ label, hint, ...input }: ComponentProps<"input"> & { name: string; label: string; hint?: string }) {
  const hintId = `${input.name}-hint`;
  return (
    <div className="grid gap-2">
      <Label htmlFor={input.name}>{label}</Label>
      <Input id={input.name} required aria-describedby={hint ? hintId : undefined} {...input} />
      {hint && (
        <p id={hintId} className="text-xs text-muted-foreground">
          {hint}
        </p>
      )}
    </div>
  );
}

/** Sign-in and sign-up. Afterwards the page at `target` is loaded afresh. */
export function AuthForm({ mode, target }: { mode: Mode; target: string }) {
  const [failure, setFailure] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const texts = TEXTS[mode];
  const isSignUp = mode === "sign-up";

  async function onSubmit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    setFailure(null);
    const problem = await submit(mode, new FormData(form));
    if (problem === null) {
      window.location.assign(target);
      return;
    }
    setFailure(problem);
    setBusy(false);
    // The button had the focus, and lost it when it was disabled.
    form.querySelector<HTMLInputElement>("[name=password]")?.focus();
  }

  return (
    <Card className="w-full max-w-sm shadow-[0_24px_60px_-36px_rgb(0_0_0/35%)]">
      <CardHeader>
        <CardTitle>{texts.title}</CardTitle>
        <CardDescription>{texts.description}</CardDescription>
      </CardHeader>
      <CardContent>
        <form method="post" onSubmit={(event) => void onSubmit(event)} className="grid gap-5">
          {isSignUp && <Field name="name" label="Name" autoComplete="name" maxLength={100} />}
          <Field name="email" label="Email" type="email" autoComplete="email" />
          <Field
            name="password"
            label="Password"
            type="password"
            autoComplete={isSignUp ? "new-password" : "current-password"}
            minLength={PASSWORD_MIN_LENGTH}
            {...(isSignUp ? { hint: `At least ${PASSWORD_MIN_LENGTH} characters` } : {})}
          />
          {failure && (
            <Alert variant="destructive">
              <CircleAlertIcon aria-hidden />
              <p>{failure}</p>
            </Alert>
          )}
          <Button type="submit" disabled={busy}>
            {busy && <LoaderCircleIcon className="animate-spin" aria-hidden />}
            {texts.action}
          </Button>
        </form>
        <p className="mt-6 text-center text-sm text-muted-foreground">
          {texts.question}{" "}
          <Link href={texts.other.href} className="rounded-sm font-medium text-accent-ink underline-offset-4 outline-none hover:underline focus-visible:ring-[3px] focus-visible:ring-ring/50">
            {texts.other.label}
          </Link>
        </p>
      </CardContent>
    </Card>
  );
}
