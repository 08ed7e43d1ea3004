import { describe, expect, it } from "vitest";

import { readFrames, SseParser, type SseFrame } from "./sse";

const STREAM = [
  ": connected\n\n",
  'id: 1-1\ndata: {"type":"progress_update","text":"Thinking…"}\n\n',
  "id: 1-2\r\nevent: run\r\ndata: first\r\ndata: second\r\n\r\n",
  ": keep-alive\r\r",
  "data:no space\rdata:  two spaces\r\r",
  "event: nothing\n\n",
  "data\n\n",
  "retry: 10\nunknown: field\ndata: 🥛 milk\n\n",
].join("");

const FRAMES: SseFrame[] = [
  { event: "message", data: '{"type":"progress_update","text":"Thinking…"}', id: "1-1" },
  { event: "run", data: "first\nsecond", id: "1-2" },
  { event: "message", data: "no space\n two spaces", id: "1-2" },
  { event: "message", data: "", id: "1-2" },
  { event: "message", data: "🥛 milk", id: "1-2" },
];

function bodyOf(...pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

async function collect(body: ReadableStream<Uint8Array>): Promise<SseFrame[]> {
  const frames: SseFrame[] = [];
  for await (const frame of readFrames(body)) frames.push(frame);
  return frames;
}

describe("server-sent events", () => {
  const bytes = new TextEncoder().encode(STREAM);

  it("reads a whole stream", async () => {
    expect(await collect(bodyOf(bytes))).toEqual(FRAMES);
  });

  it("reads the same from two pieces, wherever the cut is", async () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(await collect(bodyOf(bytes.slice(0, cut), bytes.slice(cut))), `cut at byte ${cut}`).toEqual(FRAMES);
    }
  });

  it("reads the same byte by byte", async () => {
    expect(await collect(bodyOf(...Array.from(bytes, (byte) => Uint8Array.of(byte))))).toEqual(FRAMES);
  });

  it("gives a frame as soon as it is complete, and none that is not", () => {
    const parser = new SseParser();
    expect(parser.push("data: a\n")).toEqual([]);
    expect(parser.push("\n")).toEqual([{ event: "message", data: "a", id: null }]);
    expect(parser.push("data: never finished\n")).toEqual([]);
  });

  it("skips a byte order mark at the start alone", () => {
    const parser = new SseParser();
    expect(parser.push("\uFEFFdata: \uFEFFa\n\n")).toEqual([{ event: "message", data: "\uFEFFa", id: null }]);
  });

  it("ends the request when its reader leaves early", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: again\n\n")),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const frame of readFrames(body)) {
      expect(frame.data).toBe("again");
      break;
    }
    expect(cancelled).toBe(true);
  });

  it("raises what reading raises", async () => {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new TypeError("cut")) });
    await expect(collect(body)).rejects.toThrow("cut");
  });
});
