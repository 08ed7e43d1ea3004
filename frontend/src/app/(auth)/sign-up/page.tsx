import type { Metadata } from "next";
import { redirect } from "next/navigation";

import { AuthForm } from "@/components/auth-form";
import { returnPath } from "@/lib/return-path";
import { signedInUser } from "@/server/session";

export const metadata: Metadata = { title: "Create an account" };

export default async function SignUpPage({ searchParams }: PageProps<"/sign-up">) {
  const target = returnPath((await searchParams)["next"]);
  if (await signedInUser()) redirect(target as "/dashboard");
  return <AuthForm mode="sign-up" target={target} />;
}
