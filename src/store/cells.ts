import type { DuckDBValue } from "@duckdb/node-api";
import type { Engine } from "./duck.ts";

/** Values as text, in InfluxDB's notation: int64 exact, times without Z and with 0, 3, 6 or 9 decimals. */
export class CellText {
  readonly #engine: Engine;
  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** For JSON; undefined for null, which is left out. */
  json(value: DuckDBValue, isFloat = false): string | undefined {
    if (value === null) return undefined;
    if (typeof value === "string") return JSON.stringify(value);
    if (typeof value === "bigint" || typeof value === "boolean") return String(value);
    if (typeof value === "number")
      return Number.isFinite(value) ? numberText(value, isFloat) : undefined;
    const engine = this.#engine;
    if (value instanceof engine.DuckDBDecimalValue) return value.toString();
    if (value instanceof engine.DuckDBListValue || value instanceof engine.DuckDBArrayValue)
      return `[${value.items.map((item) => this.json(item) ?? "null").join(",")}]`;
    if (value instanceof engine.DuckDBStructValue) {
      const entries = Object.entries(value.entries).map(
        ([name, item]) => `${JSON.stringify(name)}:${this.json(item) ?? "null"}`,
      );
      return `{${entries.join(",")}}`;
    }
    return JSON.stringify(this.text(value));
  }

  /** For CSV and tables; empty for null. */
  text(value: DuckDBValue, isFloat = false): string {
    if (value === null) return "";
    if (typeof value === "number")
      return Number.isFinite(value) ? numberText(value, isFloat) : String(value);
    if (typeof value !== "object") return String(value);
    const engine = this.#engine;
    if (value instanceof engine.DuckDBTimestampNanosecondsValue) return timeText(value.nanos);
    if (
      value instanceof engine.DuckDBTimestampValue ||
      value instanceof engine.DuckDBTimestampTZValue
    )
      return timeText(value.micros * 1_000n);
    if (value instanceof engine.DuckDBTimestampMillisecondsValue)
      return timeText(value.millis * 1_000_000n);
    if (value instanceof engine.DuckDBTimestampSecondsValue)
      return timeText(value.seconds * 1_000_000_000n);
    const isNested =
      value instanceof engine.DuckDBListValue ||
      value instanceof engine.DuckDBArrayValue ||
      value instanceof engine.DuckDBStructValue;
    return isNested ? (this.json(value) ?? "") : String(value);
  }
}

/** A column of floats always shows that it is one: 1.0. */
function numberText(value: number, isFloat: boolean): string {
  if (!isFloat || !Number.isInteger(value)) return String(value);
  const text = String(value);
  return /e/.test(text) ? text : `${Object.is(value, -0) ? "-0" : text}.0`;
}

/** `2024-01-15T10:30:00.123456789`. */
export function timeText(nanos: bigint): string {
  const second = 1_000_000_000n;
  const rest = ((nanos % second) + second) % second;
  const date = new Date(Number((nanos - rest) / 1_000_000n));
  // TIMESTAMP reaches far beyond what Date knows.
  const head = Number.isNaN(date.getTime())
    ? String((nanos - rest) / second)
    : date.toISOString().slice(0, -5);
  const decimals = String(rest)
    .padStart(9, "0")
    .replace(/(?:000)+$/, "");
  return decimals === "" ? head : `${head}.${decimals}`;
}
