/** Server-sent events (WHATWG HTML, section 9.2.6), from bytes in pieces of any size. */

export interface SseFrame {
  /** `message` unless the stream says otherwise. */
  readonly event: string;
  readonly data: string;
  /** The last id seen, which names the place to resume from. */
  readonly id: string | null;
}

/** Splits text into frames. Pieces may end anywhere, also between CR and LF. */
export class SseParser {
  private rest = "";
  private skipLineFeed = false;
  private started = false;
  private event = "";
  private data: string[] = [];
  private id: string | null = null;

  /** Takes the next piece of the stream and returns the frames that it completes. */
  push(piece: string): SseFrame[] {
    const frames: SseFrame[] = [];
    for (const line of this.lines(piece)) {
      if (line !== "") this.field(line);
      else if (this.data.length > 0) frames.push(this.frame());
      else this.event = "";
    }
    return frames;
  }

  private *lines(piece: string): Generator<string> {
    let text = piece;
    if (!this.started && text !== "") {
      this.started = true;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    if (this.skipLineFeed && text !== "") {
      this.skipLineFeed = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const char = text[at];
      if (char !== "\n" && char !== "\r") continue;
      yield this.rest + text.slice(from, at);
      this.rest = "";
      if (char === "\r") {
        if (at + 1 === text.length) this.skipLineFeed = true;
        else if (text[at + 1] === "\n") at += 1;
      }
      from = at + 1;
    }
    this.rest += text.slice(from);
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return; // A comment: the server says that it is still there.
    const name = colon === -1 ? line : line.slice(0, colon);
    const raw = colon === -1 ? "" : line.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }

  private frame(): SseFrame {
    const frame = { event: this.event || "message", data: this.data.join("\n"), id: this.id };
    this.event = "";
    this.data = [];
    return frame;
  }
}

/** The frames of an answer as they come. Raises what reading raises: a cut connection is an error. */
export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<SseFrame> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Leaving early ends the request; after the end or an error there is nothing to cancel.
    await reader.cancel().catch(() => undefined);
  }
}
