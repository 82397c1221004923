import type { Seq, Stored } from "../otlp/range.ts";

/** The newest frames with their tapes, within a budget of bytes. Oldest first out. */
export class FrameCache {
  readonly #limit: number;
  readonly #frames = new Map<Seq, Stored>();
  #bytes = 0;
  constructor(limit: number) {
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(seq: Seq): Stored | undefined {
    return this.#frames.get(seq);
  }

  add(frame: Stored): void {
    const bytes = weigh(frame);
    if (bytes > this.#limit) return;
    this.#frames.set(frame.seq, frame);
    this.#bytes += bytes;
    for (const oldest of this.#frames.values()) {
      if (this.#bytes <= this.#limit) return;
      this.#remove(oldest);
    }
  }

  /** Forgets what every reader has taken. */
  forget(upTo: Seq): void {
    for (const oldest of this.#frames.values()) {
      if (oldest.seq > upTo) return;
      this.#remove(oldest);
    }
  }

  #remove(frame: Stored): void {
    this.#frames.delete(frame.seq);
    this.#bytes -= weigh(frame);
  }
}

function weigh({ batch, note }: Stored): number {
  return batch.length + batch.tape.byteLength + note.length;
}
