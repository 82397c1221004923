import { BadPoint } from "../../kit/doors/point-lines.ts";
import { isUtf8 } from "../../line/utf8.ts";

/** Wire types of protobuf that point.proto uses, and the one that is only skipped. */
export const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const VARINT_BYTES_MAX = 10;

/** A cursor over the fields of a message. Every length is checked against the message's own end before it moves on. */
export class Message {
  /** Number and wire type of the field that `next` moved to. */
  field = 0;
  wire = 0;
  /** Its value: the bytes of a length-delimited one without their length. */
  from = 0;
  to = 0;
  /** Behind the field. */
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;

  constructor(bytes: Uint8Array, view: DataView, from: number, end: number) {
    this.#bytes = bytes;
    this.#view = view;
    this.at = from;
    this.#end = end;
  }

  /** Moves to the next field; false at the end. Throws BadPoint where there is none. */
  next(): boolean {
    if (this.at >= this.#end) return false;
    const tag = this.#number(this.at);
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    this.from = this.to;
    if (this.wire === Wire.varint) this.#number(this.from);
    else if (this.wire === Wire.fixed64) this.to = this.from + 8;
    else if (this.wire === Wire.fixed32) this.to = this.from + 4;
    else if (this.wire === Wire.bytes) {
      const length = this.#number(this.from);
      this.from = this.to;
      this.to = this.from + length;
    } else throw this.#damaged(`no wire type ${this.wire} is used`);
    if (this.to > this.#end) throw this.#damaged("a value is longer than what it is in");
    this.at = this.to;
    return true;
  }

  /** The value as a message. */
  nested(): Message {
    this.#expect(Wire.bytes, "a message");
    return new Message(this.#bytes, this.#view, this.from, this.to);
  }

  /** Checks that the value is a text; it is then from `from` to `to`. */
  expectText(): void {
    this.#expect(Wire.bytes, "a text");
    if (!isUtf8(this.#bytes, this.from, this.to))
      throw new BadPoint(`field ${this.field} is not valid UTF-8`);
  }

  text(): string {
    this.expectText();
    return this.#buffer().toString();
  }

  base64(): string {
    this.#expect(Wire.bytes, "bytes");
    return this.#buffer().toString("base64");
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  uint64(): bigint {
    this.#expect(Wire.varint, "a whole number");
    let value = 0n;
    for (let p = this.to - 1; p >= this.from; p--)
      value = (value << 7n) | BigInt((this.#bytes[p] as number) & 127);
    return BigInt.asUintN(64, value);
  }

  double(): number {
    this.#expect(Wire.fixed64, "a float");
    return this.#view.getFloat64(this.from, true);
  }

  #buffer(): Buffer {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + this.from, this.to - this.from);
  }

  /** A varint up to 2^53 exactly; what is larger is only passed over, as a length it reaches beyond every end. Sets `to` behind it. */
  #number(from: number): number {
    let value = 0;
    let scale = 1;
    const stop = Math.min(this.#end, from + VARINT_BYTES_MAX);
    for (let p = from; p < stop; p++) {
      const byte = this.#bytes[p] as number;
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) {
        this.to = p + 1;
        return value;
      }
    }
    throw this.#damaged("a number has no end");
  }

  #expect(wire: number, what: string): void {
    if (this.wire !== wire) throw new BadPoint(`field ${this.field} is not ${what}`);
  }

  #damaged(why: string): BadPoint {
    return new BadPoint(`not valid protobuf: ${why}, at byte ${this.at + 1}`, true);
  }
}
