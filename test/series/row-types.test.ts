import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Dialect } from "../../src/line/writer.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { FIELD_TYPES, TypeRegistry } from "../../src/series/type-registry.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { type Field, readRows } from "../support/rows.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const RUNS = Number(process.env["WEIR_FUZZ"] ?? 60);
const tables = shippedTables();
const door = lineDoor(tables, "ns");
const rangeOfLines = (text: string) => rangeOf([batchOf(door(text, ARRIVAL_MS))], ARRIVAL_MS);
const writerOf = (types?: TypeRegistry, dialect: Dialect = "v3") =>
  compileLineWriter({
    signal: "logs",
    tables,
    keys: indexer.keys,
    dialect,
    ...(types && { types }),
  });

/** Lines through one writer, one request each, without their times. */
function through(types: TypeRegistry, ...lines: string[]): string[] {
  const writer = writerOf(types);
  return lines.map((line) =>
    writeAll(writer, rangeOfLines(line)).text.trimEnd().replace(/ \d+$/gm, ""),
  );
}

describe("fields that no table declares", () => {
  test("the first type wins; later values are converted where nothing is lost, else go beside it", () => {
    expect(
      through(
        new TypeRegistry(),
        "m x=1i 1",
        "m x=2.0 2",
        "m x=2.5 3",
        'm x="7" 4',
        'm x="a" 5',
        "m x=true 6",
      ),
    ).toEqual(["m x=1i", "m x=2i", "m x_float=2.5", "m x=7i", 'm x_text="a"', "m x_boolean=true"]);
  });

  test("each measurement has its own, also where their records are alike", () => {
    const types = new TypeRegistry();
    expect(
      through(
        types,
        "m x=1i 1",
        "other x=1.5 2",
        "m x=2i 3",
        "other x=2i 4",
        "m x=1.5 5",
        "other x=2.5 6",
      ),
    ).toEqual(["m x=1i", "other x=1.5", "m x=2i", "other x=2", "m x_float=1.5", "other x=2.5"]);
  });

  test("of a declared table too, and in one request", () => {
    const types = new TypeRegistry();
    const lines = ["extra=1i", "extra=0.5", "extra=2.0"].map(
      (field, i) => `function_logs,execution_id=e status="ok",duration_ms=${i},${field} ${i + 1}`,
    );
    const [text = ""] = through(types, lines.join("\n"));
    const rows = readRows(`${text.replaceAll("\n", " 1\n")} 1\n`);
    expect(rows.map(({ fields }) => fields)).toMatchObject([
      { duration_ms: { float: 0 }, extra: { integer: "1" } },
      { duration_ms: { float: 1 }, extra_float: { float: 0.5 } },
      { duration_ms: { float: 2 }, extra: { integer: "2" } },
    ]);
    expect(types.typeOf("function_logs", "duration_ms")).toBeUndefined();
  });

  test("a name beside the field that is taken by another type gets another word, and never one that the row has", () => {
    const types = new TypeRegistry();
    expect(
      through(types, "m x=1i,x_float=true 1", "m x=0.5 2", "m x=0.5,x_float_float=1 3"),
    ).toEqual([
      "m x=1i,x_float=true",
      "m x_float_float=0.5",
      "m x_float_float_=0.5,x_float_float=1",
    ]);
  });

  test("names with escapes and other letters are one field, whatever the dialect", () => {
    for (const dialect of ["v3", "v2", "v1"] as const) {
      const types = new TypeRegistry();
      const writer = writerOf(types, dialect);
      for (const line of ["mä\\ ß\\,1,t=v a\\ b\\=ü=1i 1", "mä\\ ß\\,1,t=v a\\ b\\=ü=0.5 1"])
        writeAll(writer, rangeOfLines(line));
      expect([...types.entries()].map(({ table, field }) => `${table}|${field}`)).toEqual([
        "mä ß,1|a b=ü",
        "mä ß,1|a b=ü_float",
      ]);
    }
  });
});

describe("types that the destination named", () => {
  test("a declared float that it holds as integer is rounded; what is no number goes beside it", () => {
    const types = new TypeRegistry();
    types.adopt("function_logs", "duration_ms", "integer");
    types.adopt("function_logs", "message", "float");
    const [row = ""] = through(
      types,
      'function_logs,execution_id=e,status=success duration_ms=77.829,message="no",cpu_time_ms=1.5 1',
    );
    expect(row).toContain("duration_ms=78i");
    expect(row).toContain('message_text="no"');
    expect(row).toContain("cpu_time_ms=1.5");
  });

  test("rows of OTLP records and spans follow them, each table its own", () => {
    const types = new TypeRegistry();
    types.adopt("function_logs", "duration_ms", "integer");
    types.adopt("logs", "severity_number", "text");
    const record = {
      timeUnixNano: "1700000000000000001",
      severityNumber: 9,
      attributes: [
        { key: "execution.id", value: { stringValue: "e" } },
        { key: "status", value: { stringValue: "ok" } },
        { key: "duration_ms", value: { doubleValue: 2.6 } },
        { key: "other", value: { stringValue: "a, b=c" } },
      ],
    };
    const bytes = encodeRequest("logs", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }],
    });
    const { text } = writeAll(writerOf(types), rangeOf([batchOf(bytes)], ARRIVAL_MS));
    const rows = readRows(text);
    expect(rows.map(({ table }) => table)).toEqual(["function_logs", "logs"]);
    expect(rows[0]?.fields["duration_ms"]).toEqual({ integer: "3" });
    expect(rows[1]?.fields["severity_number"]).toEqual({ text: "9" });
  });

  test("fields by the end of their names, which a table takes of OTLP records, have the type of their first value too", () => {
    const values = [{ intValue: "5" }, { doubleValue: 5.5 }, { doubleValue: 6 }];
    const logRecords = ["DFF_task_record", "DFF_task_record_func"].flatMap((eventName, table) =>
      (table === 0 ? values : values.toReversed()).map((value, i) => ({
        timeUnixNano: String(1_700_000_000_000_000_001n + BigInt(i)),
        eventName,
        attributes: [{ key: "own_cost", value }],
      })),
    );
    const bytes = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    const writer = writerOf(new TypeRegistry());
    for (let time = 0; time < 2; time++) {
      const { text } = writeAll(writer, rangeOf([batchOf(bytes)], ARRIVAL_MS));
      expect(readRows(text).map(({ table, fields }) => [table, fields])).toEqual([
        ["DFF_task_record", { own_cost: { integer: "5" } }],
        ["DFF_task_record", { own_cost_float: { float: 5.5 } }],
        ["DFF_task_record", { own_cost: { integer: "6" } }],
        ["DFF_task_record_func", { own_cost: { float: 6 } }],
        ["DFF_task_record_func", { own_cost: { float: 5.5 } }],
        ["DFF_task_record_func", { own_cost: { float: 5 } }],
      ]);
    }
  });

  test("data points follow them: their numbers may be rounded, as their types are ours", () => {
    const types = new TypeRegistry();
    const writer = compileLineWriter({
      signal: "metrics",
      tables,
      keys: indexer.keys,
      dialect: "v3",
      types,
    });
    const point = { timeUnixNano: "1", asDouble: 2.5 };
    const metrics = ["a", "b"].map((name) => ({ name, gauge: { dataPoints: [point] } }));
    const bytes = encodeRequest("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
    const range = rangeOf([batchOfSignal("metrics", bytes)], ARRIVAL_MS);
    expect(writeAll(writer, range).text).toMatch(/ gauge=2.5 1\n.* gauge=2.5 1\n$/);
    types.adopt("a", "gauge", "integer");
    expect(writeAll(writer, range).text).toMatch(/^a.* gauge=3i 1\nb.* gauge=2.5 1\n$/);
    expect(types.fields).toBe(1);
  });
});

const value = fc.constantFrom(
  ...["1i", "-3i", "9007199254740993i", "2u", "18446744073709551615u", "1", "1.5", "1e300"],
  ...["true", "false", '""', '"5"', '"2.5"', '"true"', '"a,b=c \\" d"', '"x\ny"'],
);
const field = fc.tuple(
  fc.constantFrom("x", "y", "x_float", "x_text", "duration_ms", "a\\ b", "time"),
  value,
);
const line = fc
  .tuple(
    fc.constantFrom("m", "n", "function_logs", "DFF_task_record", "logs"),
    fc.constantFrom("", ",t=v", ",x=tag", ",execution_id=e"),
    fc.uniqueArray(field, { minLength: 1, maxLength: 6, selector: ([name]) => name }),
  )
  .map(([measurement, tags, fields]) => {
    return `${measurement}${tags} ${fields.map(([name, v]) => `${name}=${v}`).join(",")}`;
  });
const lesson = fc.tuple(
  fc.constantFrom("m", "n", "function_logs", "logs"),
  fc.constantFrom("x", "y", "x_float", "duration_ms", "message", "a b"),
  fc.constantFrom(...FIELD_TYPES),
);

const untyped = writerOf();

test("whatever was learned: one type per field, all values kept, as many rows, the same bytes again and in any cut", () => {
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 12 }),
      fc.array(fc.array(lesson, { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      (lines, rounds) => {
        const text = lines.map((each, i) => `${each} ${1_700_000_000_000_000_001n + BigInt(i)}`);
        const range = rangeOfLines(text.join("\n"));
        const before = writeAll(untyped, range);
        const types = new TypeRegistry();
        const writer = writerOf(types);
        const rowsBefore = readRows(before.text);
        const all = rowsBefore.map((_, row) => row);
        for (const lessons of rounds) {
          for (const [table, name, type] of lessons) types.adopt(table, name, type);
          const after = writeAll(writer, range);
          expect(after.rows).toBe(before.rows);
          expect(writer.itemsOfRows?.(range, 0, all)).toEqual(
            all.map((row) => writer.itemOfRow(range, 0, row)),
          );
          const rows = readRows(after.text);
          expect(rows.map(({ fields }) => Object.keys(fields).length)).toEqual(
            rowsBefore.map(({ fields }) => Object.keys(fields).length),
          );
          const held = new Map<string, string>();
          for (const { table, fields } of rows)
            for (const [name, given] of Object.entries(fields)) {
              const [type = ""] = Object.keys(given as Field);
              expect(held.get(`${table}.${name}`) ?? type, `${table}.${name}`).toBe(type);
              held.set(`${table}.${name}`, type);
            }
          expect(writeAll(writer, range, 4_096).text).toBe(after.text);
        }
        expect(writeAll(writerOf(types), range).text).toBe(writeAll(writer, range).text);
      },
    ),
    { numRuns: RUNS },
  );
});
