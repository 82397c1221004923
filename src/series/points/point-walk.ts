import type { JsonWriter } from "../../otlp/value-json.ts";

/** Goes through the fields of a message of a batch, for what the tape does not hold. Wire is canonical and was validated. */
export class FieldWalk {
  /** Tag of the field: number << 3 | wire type; 0 where it needs more than one byte, which no field of a data point does. */
  tag = 0;
  /** Its value; of length-delimited fields the payload. */
  from = 0;
  end = 0;
  readonly #json: JsonWriter;
  #next = 0;
  #stop = 0;

  /** `json` reads the batch's numbers. */
  constructor(json: JsonWriter) {
    this.#json = json;
  }

  open(from: number, end: number): void {
    this.#next = from;
    this.#stop = end;
  }

  next(): boolean {
    const json = this.#json;
    const { bytes } = json;
    let p = this.#next;
    if (p >= this.#stop) return false;
    const tag = bytes[p++]!;
    this.tag = tag;
    if (tag > 127) {
      p = json.varintEnd(p);
      this.tag = 0;
    }
    const wire = tag & 7;
    let end: number;
    if (wire === 1) end = p + 8;
    else if (wire === 0) end = json.varintEnd(p);
    else if (wire === 5) end = p + 4;
    else {
      p = json.varint(p);
      end = p + (json.low >>> 0);
    }
    this.from = p;
    this.end = Math.min(end, this.#stop);
    this.#next = this.end;
    return true;
  }

  /** End of the payload that starts at `at`, by the length that stands before it: its tag has one byte. */
  payloadEnd(at: number, limit: number): number {
    const { bytes } = this.#json;
    let p = at - 1;
    while (bytes[p - 1]! > 127) p--;
    this.#json.varint(p);
    return Math.min(at + (this.#json.low >>> 0), limit);
  }
}
