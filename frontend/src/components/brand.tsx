import Link from "next/link";

import { cn } from "@/lib/class-names";

/** The mark and the name, leading home; a compact one hides the name on narrow screens. */
export function Brand({ href = "/", compact = false }: { href?: "/" | "/dashboard"; compact?: boolean }) {
  return (
    <Link
      href={href}
      className="flex items-center gap-2.5 rounded-md font-semibold tracking-tight outline-none focus-visible:ring-[3px] focus-visible:ring-ring/50"
    >
      <svg viewBox="0 0 32 32" className="size-7" aria-hidden>
        <rect width="32" height="32" rx="9" fill="#0a0d0b" className="dark:fill-[#0fff50]" />
        <path
          d="M9 11.5h14M16 11.5v5.2c0 3.6-2.3 5.3-6.5 5.3"
          fill="none"
          strokeWidth="3"
          strokeLinecap="round"
          strokeLinejoin="round"
          className="stroke-[#0fff50] dark:stroke-[#04220c]"
        />
        <circle cx="22" cy="21.5" r="2.2" className="fill-[#0fff50] dark:fill-[#04220c]" />
      </svg>
      <span className={cn(compact && "sr-only sm:not-sr-only")}>Threadkeep</span>
    </Link>
  );
}
