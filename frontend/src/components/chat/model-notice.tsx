"use client";

import { FlaskConicalIcon, XIcon } from "lucide-react";
import { useEffect, useState } from "react";

import { request } from "@/lib/problem";

interface ModelInfo {
  readonly provider: string;
  readonly model: string;
  readonly demo: boolean;
}

/** Says so when answers come from the demo model, which needs no key and knows only todo sentences. */
export function ModelNotice({ userId }: { userId: string }) {
  const [isDemo, setIsDemo] = useState(false);

  useEffect(() => {
    const controller = new AbortController();
    request(`/api/${userId}/model`, { signal: controller.signal })
      .then(async (response) => setIsDemo(((await response.json()) as ModelInfo).demo))
      // The notice is an extra; the chat itself says what is wrong when nothing can be reached.
      .catch(() => setIsDemo(false));
    return () => controller.abort();
  }, [userId]);

  if (!isDemo) return null;
  return (
    <aside data-testid="model-notice" aria-label="About the model" className="border-b bg-accent text-sm text-accent-foreground">
      <div className="mx-auto flex max-w-6xl items-center gap-2.5 px-4 py-2 sm:px-6">
        <FlaskConicalIcon className="size-4 shrink-0" aria-hidden />
        <p className="flex-1">
          <strong className="font-semibold">Demo model.</strong> It understands plain todo sentences.
          <span className="hidden sm:inline">
            {" "}
            Set <code className="font-mono text-[0.9em]">OPENAI_API_KEY</code> for a real one.
          </span>
        </p>
        <button
          type="button"
          aria-label="Hide this notice"
          onClick={() => setIsDemo(false)}
          className="cursor-pointer rounded-sm p-1 outline-none hover:bg-black/5 focus-visible:ring-[3px] focus-visible:ring-ring/50 dark:hover:bg-white/10"
        >
          <XIcon className="size-4" />
        </button>
      </div>
    </aside>
  );
}
