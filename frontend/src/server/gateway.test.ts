import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, describe, expect, it, vi } from "vitest";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server | undefined;

/** A gateway at a real socket, and `forward` with settings that lead to it. */
async function gateway(handler: Handler) {
  server = createServer(handler);
  await new Promise<void>((ready) => server?.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  vi.resetModules();
  vi.stubEnv("GATEWAY_URL", `http://127.0.0.1:${port}`);
  vi.stubEnv("DATABASE_URL", "postgresql://localhost/unused");
  vi.stubEnv("BETTER_AUTH_SECRET", "s".repeat(32));
  const { forward } = await import("./gateway");
  return forward;
}

afterEach(async () => {
  vi.unstubAllEnvs();
  server?.closeAllConnections();
  await new Promise((closed) => server?.close(closed) ?? closed(undefined));
  server = undefined;
});

function request(path: string, init: RequestInit = {}): Request {
  return new Request(`http://page.example${path}`, init);
}

describe("forwarding to the gateway", () => {
  it("keeps the path and the query, hands on the address, and no cookie", async () => {
    let seen: IncomingMessage | undefined;
    const forward = await gateway((incoming, response) => {
      seen = incoming;
      response.end("{}");
    });
    const headers = { authorization: "Bearer t", cookie: "session=1", "x-forwarded-for": "10.0.0.1", "x-user-id": "u", "last-event-id": "1-7" };
    await forward(request("/api/u/tasks?limit=5&after=a%2Fb", { headers }));
    expect(seen?.url).toBe("/api/u/tasks?limit=5&after=a%2Fb");
    expect(seen?.headers).toMatchObject({ authorization: "Bearer t", "accept-encoding": "identity", "last-event-id": "1-7", "x-forwarded-for": "10.0.0.1" });
    for (const name of ["cookie", "x-user-id"]) expect(seen?.headers).not.toHaveProperty(name);
  });

  it("streams: an event is here before the next one is written", async () => {
    let next: () => void = () => undefined;
    const forward = await gateway((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "x-run-id": "run_1" });
      response.write("data: 1\n\n");
      next = () => response.end("data: 2\n\n");
    });
    const answer = await forward(request("/api/u/chatkit", { method: "POST", body: "{}", headers: { "content-type": "application/json" } }));
    expect(answer.headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(answer.headers.get("x-accel-buffering")).toBe("no");
    expect(answer.headers.get("x-run-id")).toBe("run_1");
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const decode = async () => new TextDecoder().decode((await reader.read()).value);
    expect(await decode()).toBe("data: 1\n\n");
    next();
    expect(await decode()).toBe("data: 2\n\n");
  });

  it("ends the gateway's request when the client goes away", async () => {
    let gone: (value: string) => void = () => undefined;
    const closed = new Promise<string>((resolve) => (gone = resolve));
    const forward = await gateway((incoming, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": here\n\n");
      incoming.once("close", () => gone("closed"));
    });
    const client = new AbortController();
    const answer = await forward(request("/api/u/chatkit", { signal: client.signal }));
    await answer.body?.getReader().read();
    client.abort();
    expect(await closed).toBe("closed");
  });

  it("passes problems on as they are", async () => {
    const forward = await gateway((_, response) => {
      response.writeHead(429, { "content-type": "application/problem+json", "retry-after": "7", "x-request-id": "r1", "set-cookie": "a=b", server: "x" });
      response.end('{"code":"queue_full"}');
    });
    const answer = await forward(request("/api/u/chatkit", { method: "POST", body: "{}" }));
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("7");
    expect(answer.headers.get("x-request-id")).toBe("r1");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.headers.has("set-cookie")).toBe(false);
    expect(await answer.json()).toEqual({ code: "queue_full" });
  });

  it("says 502 when there is no gateway", async () => {
    const forward = await gateway(() => undefined);
    server?.close();
    const answer = await forward(request("/api/u/tasks"));
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ code: "upstream_failed" });
  });
});
