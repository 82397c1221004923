import type { Seq, Stored } from "../otlp/range.ts";

/** Places of the first ring, a power of two. */
const PLACES = 64;

/**
 * The newest frames with their tapes, within a budget of bytes. Oldest first out. A ring and not a Map: a Map that is added to and
 * deleted from leaves old tables behind, which V8 moves to its old generation together with the frames that they held, so that every
 * frame would stay in memory until the next full collection.
 */
export class FrameCache {
  /** Bytes that it holds at most. */
  readonly limit: number;
  /** Ascending by seq from `#first` on; the length is a power of two. */
  #ring: (Stored | undefined)[] = new Array(PLACES).fill(undefined);
  #first = 0;
  #count = 0;
  #bytes = 0;
  constructor(limit: number) {
    this.limit = limit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(seq: Seq): Stored | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).seq < seq) low = middle + 1;
      else high = middle;
    }
    const found = low < this.#count ? this.#at(low) : undefined;
    return found?.seq === seq ? found : undefined;
  }

  /** Frames come in the order of their numbers. */
  add(frame: Stored): void {
    const bytes = weigh(frame);
    if (bytes > this.limit) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#place(this.#count)] = frame;
    this.#count++;
    this.#bytes += bytes;
    while (this.#bytes > this.limit) this.#removeFirst();
  }

  /** Forgets what every reader has taken. */
  forget(upTo: Seq): void {
    while (this.#count > 0 && this.#at(0).seq <= upTo) this.#removeFirst();
  }

  #place(index: number): number {
    return (this.#first + index) & (this.#ring.length - 1);
  }

  #at(index: number): Stored {
    return this.#ring[this.#place(index)] as Stored;
  }

  #removeFirst(): void {
    this.#bytes -= weigh(this.#at(0));
    this.#ring[this.#first] = undefined;
    this.#first = this.#place(1);
    this.#count--;
  }

  #grow(): void {
    const ring = new Array<Stored | undefined>(this.#ring.length * 2).fill(undefined);
    for (let i = 0; i < this.#count; i++) ring[i] = this.#at(i);
    this.#ring.fill(undefined);
    this.#ring = ring;
    this.#first = 0;
  }
}

function weigh({ batch, note }: Stored): number {
  return batch.length + batch.tape.byteLength + note.length;
}
