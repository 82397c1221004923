import { isUtf8 } from "../../line/utf8.ts";
import type { Keys } from "../../otlp/keys.ts";
import { Entry, Kind } from "../../otlp/tape.ts";
import type { JsonWriter } from "../../otlp/value-json.ts";
import { LEVELS } from "./levels.ts";
import { GrowingMemory } from "./memory.ts";
import { metadataName } from "./names.ts";
import { isScalar, writeScalar } from "./values.ts";

/** Loki's max_label_value_length: longer values stay in structured metadata. */
const VALUE_MAX = 2_048;
/** JSON makes at most six bytes of one. */
const VALUE_ROOM = 6 * VALUE_MAX + 2;
/** Loki's max_label_names_per_series, and one for service_name, which it does not count. */
const LABELS_MAX = 16;

const SERVICE = "service_name";
const LEVEL = "level";
/** Sources of the labels that there are always or often (mapping §7), the first that is present counts. Never ids. */
const SHIPPED: Readonly<Record<string, readonly string[]>> = {
  [SERVICE]: ["service.name", "service", "service_name"],
  [LEVEL]: ["level"],
  deployment_env: ["deployment_env", "deployment.environment.name", "deployment.environment"],
  source: ["source"],
  function: ["function", "function.name", "function_name", "faas.name"],
};
/** Where the text of a label goes to that no attribute gives. */
const OTHERWISE: Readonly<Record<string, string>> = { [SERVICE]: "unknown_service" };

interface Label {
  readonly name: string;
  readonly keys: readonly string[];
}

/** All labels, in the order of their names, `more` being names of attributes. */
function labelsOf(more: readonly string[]): readonly Label[] {
  const byName = new Map(Object.entries(SHIPPED));
  for (const key of more) if (!byName.has(metadataName(key))) byName.set(metadataName(key), [key]);
  return [...byName]
    .map(([name, keys]) => ({ name, keys }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const COMMA = 44;
const QUOTE = 34;
const BRACE = 123;
const BRACE_END = 125;
/** Ids: their values never end, and neither would the streams. */
const ID =
  /(?:^|[._-])(?:(?:trace|span|parent|execution|invocation|request|correlation|session|message|transaction|task|job|event|order|user|process|pod|container|instance)[._-]?(?:id|uid|uuid|pid)|uuid|guid|traceparent|pid)$/i;

/** Why the attribute `keys[i]` cannot be a label beside the others; undefined when it can. */
export function labelProblem(keys: readonly string[], i: number): string | undefined {
  const key = keys[i]!;
  const name = metadataName(key);
  if (ID.test(key.replace(/(?=[A-Z])/g, "_")))
    return `${key} is an id: each value would make a stream of its own. It is in structured metadata, which finds it as well: {service_name="…"} | ${name}="…"`;
  const shipped = Object.entries(SHIPPED).find(
    ([label, sources]) => label === name || sources.includes(key),
  );
  if (shipped !== undefined) return `${key} is a label already: ${shipped[0]}`;
  if (key === "message" || key.startsWith("weir.")) return `${key} cannot be a label`;
  if (keys.slice(0, i).some((other) => metadataName(other) === name))
    return `there is a label ${name} already`;
  if (labelsOf(keys.slice(0, i + 1)).length > LABELS_MAX)
    return `too many labels: Loki takes ${LABELS_MAX - 1} beside service_name`;
  return undefined;
}

/** A source of a label is `label << PRIORITY_BITS | priority`. */
const PRIORITY_BITS = 4;
const NONE = -1;

/**
 * Which attributes are labels: of the sources of a label, the first that the record or its resource has, the record's before the
 * resource's with the same name. What is no label is left to structured metadata.
 */
export class Labels {
  readonly count: number;
  /** By label: the entry of the resource that it takes, or -1. */
  readonly ofGroup: Int32Array;
  /** By label: the entry of the record that it takes, or -1. */
  readonly ofRecord: Int32Array;
  /** Label of `level`. */
  readonly level: number;
  /** The labels as text, from `write`. */
  readonly text = new GrowingMemory();
  readonly #sources: ReadonlyMap<number, number>;
  readonly #json: JsonWriter;
  /** By label: `,name=`. */
  readonly #heads: readonly Uint8Array[];
  readonly #otherwise: readonly (Uint8Array | undefined)[];
  readonly #levels: readonly Uint8Array[];

  constructor(more: readonly string[], keys: Keys, json: JsonWriter) {
    const labels = labelsOf(more);
    const quoted = (text: string) => Buffer.from(JSON.stringify(text));
    this.#json = json;
    this.count = labels.length;
    this.level = labels.findIndex(({ name }) => name === LEVEL);
    this.ofGroup = new Int32Array(this.count);
    this.ofRecord = new Int32Array(this.count);
    this.#sources = new Map(
      labels.flatMap((label, l) =>
        label.keys.map((key, i) => [keys.id(key), (l << PRIORITY_BITS) | i] as const),
      ),
    );
    this.#heads = labels.map(({ name }) => Buffer.from(`,${name}=`));
    this.#otherwise = labels.map(({ name }) =>
      OTHERWISE[name] === undefined ? undefined : quoted(OTHERWISE[name]),
    );
    this.#levels = LEVELS.map(quoted);
  }

  /** Ids of the keys that may become labels. */
  get keys(): Iterable<number> {
    return this.#sources.keys();
  }

  /** The label that a key is a source of. */
  labelOf(key: number): number {
    return this.#sources.get(key)! >>> PRIORITY_BITS;
  }

  /** Whether key `a` is an earlier source of their label than `b`, or the same. */
  isBefore(a: number, b: number): boolean {
    return this.#sources.get(a)! <= this.#sources.get(b)!;
  }

  /** Whether a value can be a label: neither too long nor empty, and no list or map. */
  fits(kind: number, from: number, end: number): boolean {
    if (isScalar(kind)) return true;
    if (kind !== Kind.text || end === from || end - from > VALUE_MAX) return false;
    return isUtf8(this.#json.bytes, from, end);
  }

  /** Writes the labels of a record into `text`; returns their length. */
  write(tape: Int32Array, level: number): number {
    const { text } = this;
    let o = 0;
    for (let l = 0; l < this.count; l++) {
      const isLevel = l === this.level;
      const own = this.ofRecord[l]!;
      const entry = isLevel ? NONE : own === NONE ? this.ofGroup[l]! : own;
      const fixed = isLevel ? this.#levels[level] : this.#otherwise[l];
      if (entry === NONE && fixed === undefined) continue;
      const head = this.#heads[l]!;
      text.need(o + head.length + VALUE_ROOM);
      text.bytes.set(head, o);
      text.bytes[o] = o === 0 ? BRACE : COMMA;
      o += head.length;
      if (entry >= 0) o = this.#value(tape, entry, text.view, o);
      else {
        text.bytes.set(fixed!, o);
        o += fixed!.length;
      }
    }
    text.bytes[o] = BRACE_END;
    return o + 1;
  }

  #value(tape: Int32Array, entry: number, out: DataView, at: number): number {
    const kind = tape[entry + Entry.head]! & 15;
    const from = tape[entry + Entry.valueAt]!;
    // JSON escapes what Go's strconv.Unquote wants escaped, in the same way.
    if (kind === Kind.text) return this.#json.text(out, at, from, tape[entry + Entry.valueEnd]!);
    out.setUint8(at, QUOTE);
    const end = writeScalar(out, at + 1, this.#json, kind, from);
    out.setUint8(end, QUOTE);
    return end + 1;
  }
}
