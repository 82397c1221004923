import { copy } from "../../wire/copy.ts";
import { SLACK } from "../../wire/slack.ts";

const FIRST = 1 << 16;
/** Above this the memory is not kept from one request to the next. */
const KEPT = 4 << 20;

/** Bytes of the length that `open` leaves room for, when the content has at most `bound` bytes. */
function widthFor(bound: number): 1 | 2 | 4 {
  if (bound < 128) return 1;
  return bound < 16_384 ? 2 : 4;
}

/** Growing memory for an OTLP request. Lengths that are not known in advance are patched in, padded to the width they were given. */
export class DoorOutput {
  bytes: Uint8Array = new Uint8Array(FIRST);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;

  /** Makes room for `more` bytes and the slack behind them. All methods below rely on it. */
  ensure(more: number): void {
    const need = this.length + more + SLACK;
    if (need <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(need, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  byte(value: number): void {
    this.view.setUint8(this.length++, value);
  }

  /** 0 ≤ value < 2^31. */
  varint(value: number): void {
    let rest = value;
    for (; rest > 127; rest >>>= 7) this.view.setUint8(this.length++, (rest & 127) | 128);
    this.view.setUint8(this.length++, rest);
  }

  /** An int64 as varint. */
  varint64(low: number, high: number): void {
    let lo = low >>> 0;
    let hi = high >>> 0;
    while (hi > 0 || lo > 127) {
      this.view.setUint8(this.length++, (lo & 127) | 128);
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    this.view.setUint8(this.length++, lo);
  }

  fixed64(low: number, high: number): void {
    this.view.setUint32(this.length, low, true);
    this.view.setUint32(this.length + 4, high, true);
    this.length += 8;
  }

  double(value: number): void {
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** The source needs SLACK bytes behind its end. */
  copy(source: DataView, from: number, length: number): void {
    this.length = copy(this.view, this.length, source, from, length);
  }

  /** Leaves room for a length; returns where its content starts, to be given to `close` with the same bound. */
  open(bound: number): number {
    this.length += widthFor(bound);
    return this.length;
  }

  close(contentAt: number, bound: number): void {
    const length = this.length - contentAt;
    const width = widthFor(bound);
    let at = contentAt - width;
    for (let i = 1; i < width; i++)
      this.view.setUint8(at++, ((length >>> (7 * (i - 1))) & 127) | 128);
    this.view.setUint8(at, length >>> (7 * (width - 1)));
  }

  /** Forgets the bytes; keeps the memory unless it is large. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length <= KEPT) return;
    this.bytes = new Uint8Array(FIRST);
    this.view = new DataView(this.bytes.buffer);
  }

  /** The bytes so far in memory of their own, with SLACK behind them; starts anew. */
  take(): Uint8Array {
    // Not zeroed first: all of it is written.
    const taken = new Uint8Array(Buffer.allocUnsafeSlow(this.length + SLACK).buffer);
    taken.set(this.bytes.subarray(0, this.length + SLACK));
    this.clear();
    return taken;
  }
}
