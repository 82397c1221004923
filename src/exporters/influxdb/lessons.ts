import type { Verdict } from "../../kit/delivery/backend.ts";
import type { FieldType, TypeRegistry } from "../../series/type-registry.ts";

/** v3: the field's table is that of the line. */
const V3 =
  /^invalid column type for column '([\s\S]+)', expected iox::column_type::field::(\w+), got iox::column_type::field::(\w+)$/;
/** v1 and v2 name one field, and all others that conflict hide behind it. */
const V1 =
  /field type conflict: input field "([\s\S]+)" on measurement "([\s\S]+)" is type (\w+), already exists as type (\w+)/;
/** The servers' words for types. */
const TYPES: ReadonlyMap<string, FieldType> = new Map([
  ["float", "float"],
  ["integer", "integer"],
  ["uinteger", "uinteger"],
  ["unsigned", "uinteger"],
  ["boolean", "boolean"],
  ["string", "text"],
]);
const NEWLINE = 10;
const QUOTE = 34;
const BACKSLASH = 92;

/** Told once for each type that is taken over. */
export type OnLesson = (table: string, field: string, type: FieldType) => void;

/**
 * Teaches the registry what a refusal says of types. Where it knows more than when the body was written, at `version`, rows that conflict
 * are marked in the verdict, so that they are written and sent once more before they count as refused.
 */
export function learn(
  verdict: Verdict,
  body: Uint8Array,
  types: TypeRegistry,
  version: number,
  onLesson: OnLesson,
): Verdict {
  if (verdict.is === "rejected") {
    const [, field = "", table = "", sent = "", held = ""] = V1.exec(verdict.why) ?? [];
    return isLesson(types, table, field, sent, held, onLesson) && types.version > version
      ? { ...verdict, again: true }
      : verdict;
  }
  if (verdict.is !== "rows_rejected" || verdict.reasons === undefined) return verdict;
  const conflicts = new Map<number, RegExpExecArray>();
  for (const [i, reason] of verdict.reasons.entries()) {
    const conflict = V3.exec(reason);
    const row = verdict.rows[i];
    if (conflict !== null && row !== undefined) conflicts.set(row, conflict);
  }
  if (conflicts.size === 0) return verdict;
  const again = new Set<number>();
  for (const [row, table] of tablesOf(body, conflicts.keys())) {
    const [, field = "", held = "", sent = ""] = conflicts.get(row) ?? [];
    if (isLesson(types, table, field, sent, held, onLesson)) again.add(row);
  }
  return again.size === 0 || types.version === version ? verdict : { ...verdict, again };
}

/** Whether the field, sent with one type and held with another, will be sent otherwise from now on. */
function isLesson(
  types: TypeRegistry,
  table: string,
  field: string,
  sent: string,
  held: string,
  onLesson: OnLesson,
): boolean {
  const type = TYPES.get(held);
  if (type === undefined || table === "") return false;
  if (types.adopt(table, field, type)) onLesson(table, field, type);
  return types.typeOf(table, field) === type && TYPES.get(sent) !== type;
}

/** Measurement of each of these rows of a body in the v3 dialect. Newlines in texts end no row. */
function* tablesOf(body: Uint8Array, rows: Iterable<number>): Generator<readonly [number, string]> {
  const wanted = [...rows].sort((a, b) => a - b);
  let row = 0;
  let start = 0;
  for (const next of wanted) {
    for (; row < next; row++) start = rowEnd(body, start) + 1;
    if (start >= body.length) return;
    yield [next, measurementAt(body, start)];
  }
}

function rowEnd(body: Uint8Array, from: number): number {
  let isQuoted = false;
  let isField = false;
  for (let p = from; p < body.length; p++) {
    const c = body[p];
    if (c === BACKSLASH) p++;
    else if (c === 32 && !isQuoted) isField = true;
    else if (c === QUOTE && isField) isQuoted = !isQuoted;
    else if (c === NEWLINE && !isQuoted) return p;
  }
  return body.length;
}

function measurementAt(body: Uint8Array, from: number): string {
  let end = from;
  while (end < body.length && body[end] !== 44 && body[end] !== 32)
    end += body[end] === BACKSLASH ? 2 : 1;
  const written = Buffer.from(body.buffer, body.byteOffset + from, end - from).toString("utf8");
  return written.replace(/\\([,= \\])/g, "$1");
}
