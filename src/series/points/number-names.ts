import { copy } from "../../wire/copy.ts";
import { SLACK } from "../../wire/slack.ts";

/** Slots, a power of two. */
const SLOTS = 1 << 10;
/** Bytes per slot: a comma, at most 24 of a number, an equals sign. */
const WIDTH = 32;

/**
 * Field names that are numbers: `,0.05=` by the bits of 0.05. Bounds and quantiles repeat from point to point, so the text of each is
 * kept until another one needs its slot. Zero of either sign is `0`.
 */
export class NumberNames {
  readonly #bits = new Int32Array(2 * SLOTS);
  readonly #lengths = new Uint8Array(SLOTS);
  readonly #texts = new DataView(new ArrayBuffer(SLOTS * WIDTH + SLACK));
  readonly #number = new DataView(new ArrayBuffer(8));

  /** Writes the head of a field whose name is this number, and returns its end. Not for NaN and infinities. */
  write(out: DataView, at: number, value: number): number {
    const number = this.#number;
    number.setFloat64(0, value + 0, true);
    const low = number.getInt32(0, true);
    const high = number.getInt32(4, true);
    const slot = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 22;
    const bits = this.#bits;
    const texts = this.#texts;
    if (bits[2 * slot] !== low || bits[2 * slot + 1] !== high || this.#lengths[slot] === 0)
      this.#learn(slot, low, high, value + 0);
    const from = slot * WIDTH;
    const length = this.#lengths[slot]!;
    out.setBigUint64(at, texts.getBigUint64(from, true), true);
    if (length > 8) copy(out, at + 8, texts, from + 8, length - 8);
    return at + length;
  }

  #learn(slot: number, low: number, high: number, value: number): void {
    const text = `,${value}=`;
    for (let i = 0; i < text.length; i++)
      this.#texts.setUint8(slot * WIDTH + i, text.charCodeAt(i));
    this.#bits[2 * slot] = low;
    this.#bits[2 * slot + 1] = high;
    this.#lengths[slot] = text.length;
  }
}
