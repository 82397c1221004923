import type { Dialect } from "../line/writer.ts";
import type { Keys } from "../otlp/keys.ts";
import type { Signal } from "../otlp/tape.ts";
import { compilePlan } from "./compile.ts";
import { ItemLineWriter } from "./line-writer.ts";
import { compileMetrics } from "./points/metric-plan.ts";
import { PointLineWriter } from "./points/point-writer.ts";
import type { Table } from "./tables/tables.ts";
import type { TypeRegistry } from "./type-registry.ts";
import type { Writer } from "./writer.ts";

/** Called when a value had no place in its column: it does not fit the type, is NaN or infinite, or the time is out of range. */
export type OnFieldDropped = (table: string, column: string, reason: string, n: number) => void;

export interface LineWriterOptions<S extends Signal> {
  readonly signal: S;
  /** The tables whose rows are written. */
  readonly tables: readonly Table[];
  /** All tables there are, where `tables` is a choice: an item that names another one makes no row. Absent: `tables`. */
  readonly declared?: readonly Table[];
  readonly keys: Keys;
  readonly dialect: Dialect;
  readonly onFieldDropped?: OnFieldDropped;
  /** Attributes of the resource that become tags of data points, instead of those that their table names. */
  readonly metricTags?: readonly string[];
  /** Types of the fields where the lines go; without it, values are written with the type that they have. */
  readonly types?: TypeRegistry;
}

/** Items → line protocol, by the tables. Compiled once; a writer keeps scratch memory, so it is for one caller at a time. */
export function compileLineWriter<S extends Signal>(options: LineWriterOptions<S>): Writer<S>;
export function compileLineWriter(
  options: LineWriterOptions<Signal>,
): Writer<"logs"> | Writer<"traces"> | Writer<"metrics"> {
  const { signal, tables, declared = tables, keys, dialect, onFieldDropped } = options;
  const { metricTags, types } = options;
  if (signal === "metrics") {
    const all = [...declared, ...tables.filter((table) => !declared.includes(table))];
    return new PointLineWriter(
      compileMetrics(tables, all, keys, metricTags),
      dialect,
      onFieldDropped,
      types,
    );
  }
  const all = [...declared, ...tables.filter((table) => !declared.includes(table))].filter(
    ({ match }) => match.points === undefined,
  );
  return new ItemLineWriter(compilePlan(signal, tables, all, keys), dialect, onFieldDropped, types);
}
