import { NextRequest } from "next/server";
import { expect, it, vi } from "vitest";

import { proxy } from "./proxy";
import { DATA_POLICY } from "./server/content-security";

vi.mock("@/server/auth", () => ({ auth: () => ({ api: { getToken: () => Promise.reject(new Error("no database")) } }) }));

it("answers with a problem, under the policy of data, when sessions cannot be looked up", async () => {
  vi.stubEnv("DATABASE_URL", "postgresql://localhost/unused");
  vi.stubEnv("BETTER_AUTH_SECRET", "s".repeat(32));
  const logged = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const headers = { cookie: "better-auth.session_token=mine" };
  const answer = await proxy(new NextRequest("http://localhost:3000/api/me/tasks", { headers }));
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: "sessions_unavailable" });
  expect(answer.headers.get("content-security-policy")).toBe(DATA_POLICY);
  expect(logged).toHaveBeenCalledOnce();
});
