import type { Slab } from "../../series/writer.ts";
import { SLACK } from "../../wire/slack.ts";

/** What lay idle between two looks is given back: a burst, or a destination that was slow for a while, needs no memory for ever. */
const LOOK_MS = 5_000;

/** Output memory of one route: at most `most` slabs of `bytes` (plus slack) at a time, reused. */
export class Slabs {
  readonly #bytes: number;
  readonly #most: number;
  readonly #free: Slab[] = [];
  #taken = 0;
  /** Free at any time since the last look. */
  #idle = 0;
  #timer: NodeJS.Timeout | undefined;
  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }
  /** Slabs in the hands of lanes. */
  get taken(): number {
    return this.#taken;
  }
  /** Throws when the bound is reached: a lane holds one slab per attempt, so that is a slab that never came back. */
  take(): Slab {
    if (this.#taken >= this.#most)
      throw new Error(`all ${this.#most} output buffers of this route are in use`);
    this.#taken += 1;
    const slab = this.#free.pop() ?? makeSlab(this.#bytes);
    this.#idle = Math.min(this.#idle, this.#free.length);
    slab.length = 0;
    return slab;
  }
  /** Undefined: none was needed. */
  give(slab: Slab | undefined): void {
    if (slab === undefined) return;
    this.#taken -= 1;
    this.#free.push(slab);
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS).unref();
  }
  /** For a slab that a post may still be reading after its time was up: the garbage collector takes it when the post lets go. */
  abandon(): void {
    this.#taken -= 1;
  }
  /** Free slabs. */
  get kept(): number {
    return this.#free.length;
  }
  #look(): void {
    this.#free.splice(0, this.#idle);
    this.#idle = this.#free.length;
    this.#timer = this.#idle > 0 ? setTimeout(() => this.#look(), LOOK_MS).unref() : undefined;
  }
}

/** The front of a slab's memory, `bytes` counted bytes and slack: for a request that must be smaller. */
export function frontOf(slab: Slab, bytes: number): Slab {
  const length = bytes + SLACK;
  if (length >= slab.bytes.length) return slab;
  const { buffer, byteOffset } = slab.bytes;
  return {
    bytes: slab.bytes.subarray(0, length),
    view: new DataView(buffer, byteOffset, length),
    length: 0,
  };
}

/** Memory for `bytes` counted bytes and the slack behind them. */
export function makeSlab(bytes: number): Slab {
  const memory = new ArrayBuffer(bytes + SLACK);
  return { bytes: new Uint8Array(memory), view: new DataView(memory), length: 0 };
}
