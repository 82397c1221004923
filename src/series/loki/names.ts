import { KEY_CAPACITY } from "../../otlp/key-table.ts";
import type { Keys } from "../../otlp/keys.ts";
import { Entry } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import { textAt } from "../../otlp/values.ts";
import { GrowingMemory } from "./memory.ts";

/** What becomes of an attribute by its key. */
export const Use = {
  /** The key was not met yet, or is not interned. */
  unknown: 0,
  plain: 1,
  /** May become a label. */
  label: 2,
  /** May become the line of a row. */
  message: 3,
  /** Is for Weir only, or has no name. */
  stripped: 4,
} as const;

/** Ints of a key: where its head is, the length of its name, the number of its name, its use. */
export const KEY = 4;
export const Key = { at: 0, length: 1, name: 2, use: 3 } as const;

/** Where the name stands in a head, and what a head has beside the name: tags and lengths of a LabelPairAdapter and its parts. */
export const NAME_AT = 4;
export const HEAD = 5;
/** KeyValue.key. */
const KEY_TAG = 0x0a;
const TAGS = { pair: 0x1a, name: 0x0a, value: 0x12 } as const;

/**
 * The name under which an attribute stands in structured metadata; empty when it has none. Loki cannot be asked for a name that begins with
 * a digit, and refuses the whole request for one of nothing but underscores.
 */
export function metadataName(key: string): string {
  const name = key.replace(/[^a-zA-Z0-9_]/gu, "_");
  return /^(?:\d|_+$)/.test(name) ? `key_${name}` : name;
}

/**
 * Names of structured metadata by key id: the bytes in front of a value, and a number by which equal names of different keys are
 * recognized. A head is `1a <pair> 0a <length> name 12`; its lengths hold where they are below 128.
 */
export class MetadataNames {
  readonly ints = new Int32Array((KEY_CAPACITY + 1) * KEY);
  readonly heads = new GrowingMemory();
  /** The name that `look` found: where it is, its number or -1, and of one without a number the text. */
  source = this.heads.view;
  at = 0;
  length = 0;
  found = -1;
  text = "";
  readonly #keys: Keys;
  readonly #numbers = new Map<string, number>();
  #end = 0;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** How many different names there are. */
  get count(): number {
    return this.#numbers.size;
  }

  /** Says what becomes of a key; at build time. */
  use(key: number, use: number): void {
    this.add(key);
    this.ints[key * KEY + Key.use] = use;
  }

  /** Learns the name of a key, and its number; -1 when the name is empty. */
  add(key: number): number {
    const ints = this.ints;
    const k = key * KEY;
    const name = metadataName(this.#keys.name(key as Parameters<Keys["name"]>[0]));
    if (ints[k + Key.use] === Use.unknown)
      ints[k + Key.use] = name === "" ? Use.stripped : Use.plain;
    ints[k + Key.name] = name === "" ? -1 : this.number(name);
    ints[k + Key.at] = this.head(name);
    ints[k + Key.length] = name.length;
    return ints[k + Key.name]!;
  }

  /** Number of a name, which it gets when it has none. */
  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  /** Finds the name of the attribute whose entry is at tape index `e`. */
  look(tape: Int32Array, e: number, json: JsonWriter): void {
    const { ints } = this;
    const key = tape[e + Entry.head]! >>> 4;
    const k = key * KEY;
    if (key !== 0 && ints[k + Key.use] === Use.unknown) this.add(key);
    this.source = this.heads.view;
    this.at = ints[k + Key.at]! + NAME_AT;
    this.length = ints[k + Key.length]!;
    this.found = ints[k + Key.name]!;
    this.text = "";
    if (key === 0) this.#rare(tape[e + Entry.keyValueAt]!, json);
  }

  /** The name of a key that is not interned, which is in the content of its KeyValue at `at`. */
  #rare(at: number, json: JsonWriter): void {
    const { bytes } = json;
    const end = bytes[at] === KEY_TAG ? json.field(at, bytes.length) : at;
    const name = metadataName(textAt(bytes, end === at ? at : json.at, end));
    const spare = Buffer.from(name);
    this.source = new DataView(spare.buffer, spare.byteOffset);
    this.at = 0;
    this.length = name.length;
    this.text = name;
    this.found = this.#numbers.get(name) ?? -1;
  }

  /** Where the head of a name (ASCII) is, which is added. */
  head(name: string): number {
    const at = this.#end;
    this.heads.need(at + HEAD + name.length + 8);
    const { bytes } = this.heads;
    bytes[at] = TAGS.pair;
    bytes[at + 2] = TAGS.name;
    bytes[at + 3] = name.length & 127;
    for (let i = 0; i < name.length; i++) bytes[at + NAME_AT + i] = name.charCodeAt(i);
    bytes[at + NAME_AT + name.length] = TAGS.value;
    this.#end = (at + HEAD + name.length + 7) & ~7;
    return at;
  }
}
