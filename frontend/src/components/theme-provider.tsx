"use client";

import { ThemeProvider as NextThemesProvider } from "next-themes";
import type { ReactNode } from "react";

/** Where Radix's dialogs and menus look for the nonce of the styles that they add (package `get-nonce`). */
const shared = globalThis as typeof globalThis & { __webpack_nonce__?: string };

/** Themes the page. `nonce` is that of the page view: the browser takes no other script or style from it. */
export function ThemeProvider({ children, nonce }: { children: ReactNode; nonce: string | undefined }) {
  if (typeof window !== "undefined" && nonce !== undefined) shared.__webpack_nonce__ ??= nonce;
  return (
    <NextThemesProvider attribute="class" defaultTheme="system" enableSystem disableTransitionOnChange nonce={nonce}>
      {children}
    </NextThemesProvider>
  );
}
