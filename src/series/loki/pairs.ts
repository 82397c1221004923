import { Kind } from "../../otlp/tape.ts";
import { type JsonWriter, jsonRoom } from "../../otlp/value-json.ts";
import { copy } from "../../wire/copy.ts";
import { type GrowingMemory, varintLength, writeVarint } from "./memory.ts";
import { HEAD } from "./names.ts";
import { isScalar, SCALAR_MAX, writeComposite, writeScalar } from "./values.ts";

/** Tags and lengths of a pair at most. */
const FRAMING = 20;
const PAIR = 0x1a;
const NAME = 0x0a;
const VALUE = 0x12;
/** A name and a value that together are not longer have lengths of one byte each: all four tags and lengths take four more. */
export const SHORT_PAIR = 127 - (HEAD - 1);

/** Where a name is. */
interface Name {
  readonly source: DataView;
  readonly at: number;
  readonly length: number;
}

/** Writes pairs of structured metadata (EntryAdapter.structuredMetadata, a LabelPairAdapter each) of any length. */
export class PairWriter {
  readonly memory: GrowingMemory;
  /** Bytes of the value last written. */
  length = 0;
  readonly #json: JsonWriter;

  constructor(memory: GrowingMemory, json: JsonWriter) {
    this.memory = memory;
    this.#json = json;
  }

  /** A text [from, end) of any memory under a name; returns the end. */
  text(
    at: number,
    { source, at: nameAt, length }: Name,
    text: DataView,
    from: number,
    end: number,
  ) {
    this.length = end - from;
    this.memory.need(at + FRAMING + length + this.length);
    const start = this.#head(at, source, nameAt, length, this.length);
    return copy(this.memory.view, start, text, from, this.length);
  }

  /** The value of an attribute, as text, under a name; returns the end. */
  value(at: number, name: Name, kind: number, from: number, end: number): number {
    const json = this.#json;
    if (kind === Kind.text) return this.text(at, name, json.view, from, end);
    const { source, at: nameAt, length: nameLength } = name;
    const isBounded = isScalar(kind);
    const aside = at + FRAMING + nameLength;
    this.memory.need(aside + (isBounded ? SCALAR_MAX : jsonRoom(end - from)));
    const { view, bytes } = this.memory;
    const stop = isBounded
      ? writeScalar(view, aside, json, kind, from)
      : writeComposite(view, aside, json, kind, from, end);
    this.length = stop - aside;
    const start = this.#head(at, source, nameAt, nameLength, this.length);
    bytes.copyWithin(start, aside, stop);
    return start + this.length;
  }

  #head(at: number, names: DataView, nameAt: number, nameLength: number, length: number): number {
    const { view } = this.memory;
    const name = 1 + varintLength(nameLength) + nameLength;
    view.setUint8(at, PAIR);
    let o = writeVarint(view, at + 1, name + 1 + varintLength(length) + length);
    view.setUint8(o, NAME);
    o = writeVarint(view, o + 1, nameLength);
    for (let i = 0; i < nameLength; i++) view.setUint8(o + i, names.getUint8(nameAt + i));
    view.setUint8(o + nameLength, VALUE);
    return writeVarint(view, o + nameLength + 1, length);
  }
}
