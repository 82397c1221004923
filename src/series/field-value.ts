import type { FieldType } from "./type-registry.ts";
import { JSON_NUMBER, NUMBER_TEXT_MAX } from "./values.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
const INTEGER = /^-?\d+$/;

/** One field of a line, as it stands there. */
export interface WrittenField {
  readonly name: string;
  readonly value: string;
}

/** The fields of a line, `name=value,name=value`, escapes and quotes untouched. */
export function splitFields(text: string): WrittenField[] {
  const fields: WrittenField[] = [];
  for (let at = 0; at < text.length; ) {
    const equals = endOf(text, at, "=", false);
    const end = endOf(text, equals + 1, ",", true);
    fields.push({ name: text.slice(at, equals), value: text.slice(equals + 1, end) });
    at = end + 1;
  }
  return fields;
}

/** Position of the first `mark` that is not escaped and, where there are quotes, not between them. */
function endOf(text: string, from: number, mark: string, isQuoting: boolean): number {
  let isQuoted = false;
  for (let p = from; p < text.length; p++) {
    const c = text[p];
    if (c === "\\") p++;
    else if (c === '"' && isQuoting) isQuoted = !isQuoted;
    else if (c === mark && !isQuoted) return p;
  }
  return text.length;
}

/** The type of a value, which its form tells. */
export function typeOfValue(value: string): FieldType {
  const first = value.charCodeAt(0);
  if (first === 34) return "text";
  if (first > 57) return "boolean"; // t, T, f, F
  const last = value.at(-1);
  return last === "i" ? "integer" : last === "u" ? "uinteger" : "float";
}

/**
 * A value of one type written as another (mapping §1 rule 3, §9.3); undefined where that would lose something. `rounds`: of a number,
 * the fraction may be lost.
 */
export function convertValue(
  value: string,
  from: FieldType,
  to: FieldType,
  rounds: boolean,
): string | undefined {
  const plain = plainOf(value, from);
  if (to === "text") return `"${plain}"`;
  if (to === "boolean") return plain === "true" || plain === "false" ? plain : undefined;
  if (from === "boolean" || plain.length > NUMBER_TEXT_MAX || !JSON_NUMBER.test(plain))
    return undefined;
  if (to === "float") return floatOf(plain);
  const whole = wholeOf(plain, rounds);
  if (whole === undefined) return undefined;
  if (to === "integer") return whole >= INT64_MIN && whole <= INT64_MAX ? `${whole}i` : undefined;
  return whole >= 0n && whole <= UINT64_MAX ? `${whole}u` : undefined;
}

/** Without quotes and the letter of its type. */
function plainOf(value: string, type: FieldType): string {
  if (type === "text") return value.slice(1, -1);
  if (type === "integer" || type === "uinteger") return value.slice(0, -1);
  if (type === "boolean") return /^t/i.test(value) ? "true" : "false";
  return value;
}

function floatOf(text: string): string | undefined {
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  return INTEGER.test(text) && BigInt(text) !== BigInt(value) ? undefined : String(value);
}

function wholeOf(text: string, rounds: boolean): bigint | undefined {
  if (INTEGER.test(text)) return BigInt(text);
  const value = rounds ? Math.round(Number(text)) : Number(text);
  return Number.isInteger(value) ? BigInt(value) : undefined;
}
