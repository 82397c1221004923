import { Literal } from "../../line/literals.ts";
import { LITERAL_MASK, PAIR, Pair } from "../../line/pair.ts";
import type { LineReader } from "../../line/reader.ts";
import { LogRecord } from "../../otlp/tags.gen.ts";
import { readSpanId, readTraceId } from "../ids.ts";
import { idColumns } from "../tables/load-ids.ts";
import type { IdForm } from "../tables/tables.ts";
import type { Constant } from "./door-marks.ts";
import { madeMark } from "./door-marks.ts";
import type { DoorOutput } from "./door-output.ts";

/** Which ids a record has: bits. */
export const Id = { trace: 1, span: 2 } as const;

interface IdSource {
  readonly name: string;
  readonly form: IdForm;
}

const [TRACE = [], SPAN = []] = idColumns().map(({ sources }) =>
  sources.flatMap((source): IdSource[] =>
    source.of === "attribute" && source.form !== undefined && source.form !== "method_path"
      ? [{ name: source.name, form: source.form }]
      : [],
  ),
);
const NAMES = new Set([...TRACE, ...SPAN].map(({ name }) => name));

/** Names of pairs that may hold an id of a line, beside its fields `trace_id` and `span_id` (mapping §1.5). */
export const OTHER_ID_NAMES: readonly string[] = [...NAMES].filter(
  (name) => name !== "trace_id" && name !== "span_id",
);

/**
 * Ids of a line that stand in other pairs than the fields `trace_id` and `span_id`, in the forms that attributes of OTLP items may have.
 * Not for the hot path: few lines have such a pair.
 */
export class DoorIds {
  readonly #reader: LineReader;
  readonly #out: DoorOutput;
  readonly #traceMark: Constant = madeMark("weir.trace_id", LogRecord.attributes);
  readonly #spanMark: Constant = madeMark("weir.span_id", LogRecord.attributes);

  constructor(reader: LineReader, out: DoorOutput) {
    this.#reader = reader;
    this.#out = out;
  }

  /** Writes the ids that the record lacks. `isMarked`: their row must not get them, as its table has no columns for them. */
  write(bytes: Uint8Array, has: number, isMarked: boolean): void {
    const texts = this.#texts(bytes);
    let owner: string | undefined;
    if ((has & Id.trace) === 0)
      for (const { name, form } of TRACE) {
        const id = readTraceId(form, texts.get(name) ?? "");
        if (id === undefined) continue;
        owner = name;
        this.#id(LogRecord.trace_id, id, isMarked ? this.#traceMark : undefined);
        break;
      }
    if ((has & Id.span) !== 0) return;
    for (const { name, form } of SPAN) {
      // traceparent gives it only where it gave the trace id.
      if (form === "traceparent" && owner !== name) continue;
      const id = readSpanId(form, texts.get(name) ?? "");
      if (id === undefined) continue;
      this.#id(LogRecord.span_id, id, isMarked ? this.#spanMark : undefined);
      break;
    }
  }

  #id(tag: number, hex: string, mark: Constant | undefined): void {
    const out = this.#out;
    out.byte(tag);
    out.varint(hex.length / 2);
    for (const byte of Buffer.from(hex, "hex")) out.byte(byte);
    if (mark !== undefined) out.copy(mark.view, 0, mark.length);
  }

  /** What the line's pairs of these names hold, as text; of equal names the last. */
  #texts(bytes: Uint8Array): Map<string, string> {
    const { pairs, tagCount, fieldCount } = this.#reader;
    const texts = new Map<string, string>();
    const text = (from: number, end: number) => Buffer.from(bytes.subarray(from, end)).toString();
    for (let i = 0; i < (tagCount + fieldCount) * PAIR; i += PAIR) {
      const name = text(pairs[i + Pair.keyAt]!, pairs[i + Pair.keyEnd]!);
      if (!NAMES.has(name)) continue;
      const kind = pairs[i + Pair.flags]! & LITERAL_MASK;
      // No id has a character that is escaped.
      if (kind === Literal.text)
        texts.set(name, text(pairs[i + Pair.valueAt]!, pairs[i + Pair.valueEnd]!));
      else if (kind === Literal.integer || kind === Literal.uinteger)
        texts.set(name, decimal(pairs[i + Pair.low]!, pairs[i + Pair.high]!));
    }
    return texts;
  }
}

/** Ids of 64 bits are unsigned, also where the line could not say so. */
function decimal(low: number, high: number): string {
  return String((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
}
