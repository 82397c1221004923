import fc from "fast-check";
import { expect, test } from "vitest";
import type { Precision } from "../../src/line/time.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { type DoorResult, LineDoor } from "../../src/series/doors/door.ts";
import { type LineShape, lineShapes } from "../../src/series/doors/line-shapes.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { type Point, readPoints, type Value } from "../line/points.ts";
import { fuzzInChild, fuzzRounds } from "../support/child-fuzz.ts";
import { decodeRequest } from "../support/otlp.ts";
import { expectText } from "../support/otlp-text.ts";

const NOW = 1_705_314_600_123;
const SHAPES: readonly LineShape[] = [
  {
    measurement: "function_logs",
    body: "message",
    tags: new Set(["function_id", "status"]),
    fields: new Set(["duration_ms", "message"]),
    spread: false,
    severity: { column: "status", levels: new Map([["error", 17]]) },
  },
  { measurement: "DFF_func_call", tags: new Set(), fields: new Set(), spread: true },
];
const indexer = createIndexer();

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number | string;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
}
interface Attribute {
  readonly key: string;
  readonly value: AnyValue;
}
interface LogRecord {
  readonly timeUnixNano?: string;
  readonly observedTimeUnixNano?: string;
  readonly severityNumber?: number;
  readonly eventName: string;
  readonly body?: AnyValue;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes: readonly Attribute[];
}
interface Request {
  readonly resourceLogs?: readonly {
    readonly resource?: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}

function append(door: LineDoor, text: string | Buffer): boolean {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const roomy = withSlack(bytes);
  const view = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
  return door.append(roomy, view, 0, bytes.length, NOW);
}

/** What came out, decoded by protobufjs, after our own indexer took all of it. */
function finish(door: LineDoor): DoorResult & { services: string[]; records: LogRecord[] } {
  const result = door.finish();
  const { bytes, length, items } = result;
  expect(bytes.length).toBeGreaterThanOrEqual(length + 16);
  const indexed = indexer.index("logs", Uint8Array.from(bytes), length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  expect([indexed.batch.items, indexed.rejected]).toEqual([items, 0]);
  expectText("logs", bytes.subarray(0, length));
  const { resourceLogs } = decodeRequest("logs", bytes.subarray(0, length)) as Request;
  const groups = resourceLogs ?? [];
  return {
    ...result,
    services: groups.map((g) => g.resource?.attributes[0]?.value.stringValue ?? ""),
    records: groups.flatMap((g) => g.scopeLogs.flatMap((s) => s.logRecords)),
  };
}

function through(text: string | Buffer, precision: Precision = "auto", serviceName?: string) {
  const door = new LineDoor(SHAPES, { precision, ...(serviceName && { serviceName }) });
  append(door, text);
  return finish(door);
}

const listOf = (record: LogRecord, key: string): string[] | undefined =>
  record.attributes
    .find((attribute) => attribute.key === key)
    ?.value.arrayValue?.values?.map(({ stringValue }) => stringValue ?? "");

/** The way back for an undeclared measurement: what the series writer does, obviously. */
function pointOf(record: LogRecord): Point {
  const tagNames = new Set(listOf(record, "weir.tags"));
  const uints = new Set(listOf(record, "weir.uint"));
  const own = record.attributes.filter(({ key }) => !key.startsWith("weir."));
  const literalOf = ({ key, value }: Attribute): Value => {
    if (value.intValue !== undefined) {
      const integer = BigInt(value.intValue);
      return uints.has(key) ? { uinteger: BigInt.asUintN(64, integer) } : { integer };
    }
    if (value.doubleValue !== undefined) return { float: Number(value.doubleValue) };
    if (value.boolValue !== undefined) return { boolean: value.boolValue };
    return { text: value.stringValue ?? "" };
  };
  return {
    measurement: record.eventName,
    tags: own
      .filter(({ key }) => tagNames.has(key))
      .map(({ key, value }) => [key, value.stringValue ?? ""] as const),
    fields: own.filter(({ key }) => !tagNames.has(key)).map((a) => [a.key, literalOf(a)] as const),
    time: BigInt.asIntN(64, BigInt(record.timeUnixNano ?? "0")),
  };
}

test("a declared table: body, severity, ids, undeclared tags, unsigned fields", () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const { records, services, badLines } = through(
    `function_logs,function_id=a\\ b,status=error,extra=y message="hi \\"you\\"\n!",duration_ms=5i,u=18446744073709551615u,trace_id="${trace}",span_id="B7AD6B7169203331",l=[1i, .5,"a\\\\"] 1705314600\n`,
    "auto",
    "svc",
  );
  expect([services, badLines]).toEqual([["svc"], 0]);
  expect(records).toEqual([
    {
      timeUnixNano: "1705314600000000000",
      observedTimeUnixNano: "1705314600123000000",
      severityNumber: 17,
      eventName: "function_logs",
      body: { stringValue: 'hi "you"\n!' },
      traceId: trace,
      spanId: "b7ad6b7169203331",
      attributes: [
        { key: "function_id", value: { stringValue: "a b" } },
        { key: "status", value: { stringValue: "error" } },
        { key: "extra", value: { stringValue: "y" } },
        { key: "duration_ms", value: { intValue: "5" } },
        { key: "u", value: { intValue: "-1" } },
        { key: "l", value: { stringValue: '[1,0.5,"a\\\\"]' } },
        { key: "weir.tags", value: { arrayValue: { values: [{ stringValue: "extra" }] } } },
        { key: "weir.uint", value: { arrayValue: { values: [{ stringValue: "u" }] } } },
      ],
    },
  ]);
});

test("the severity of a column that is derived from another, where the other alone is there", () => {
  const severities = (text: string) => {
    const door = new LineDoor(lineShapes(shippedTables()), { precision: "auto" });
    append(door, text);
    return finish(door).records.map(({ severityNumber }) => severityNumber);
  };
  const call = "DFF_func_call,func_id=f";
  const words = ["success", "failure", "timeout", "skip", "expire", "pending", "new", "success"];
  const lines = words.map((word) => `${call},task_status=${word} run_cost=1i`);
  expect(severities(lines.join("\n"))).toEqual([9, 21, 17, 13, 13, 9, 9, 9]);
  const both = (status: string) => `${call},status=${status},task_status=failure run_cost=1i`;
  expect(severities([both("ok"), both("warning"), both("odd")].join("\n"))).toEqual([
    ...[9, 13, undefined],
  ]);
  expect(severities(`${call} run_cost=1i`)).toEqual([undefined]);
  const statuses = ["success", "error", "failed", "timeout", "other"];
  const runs = statuses.map((status) => `function_logs,status=${status} exit_code=0i`);
  expect(severities(runs.join("\n"))).toEqual([9, 17, 17, 18, undefined]);
  // As the row says it: in lower case, and with the table's words.
  const odd = ["ok", "OK", "Succeeded", "fail", "TimedOut", "Error", "x".repeat(100), "öK"];
  const others = odd.map((status) => `function_logs,status=${status} exit_code=0i`);
  expect(severities([...others, ...others].join("\n")).slice(odd.length)).toEqual([
    ...[9, 9, 9, 17, 18, 17, undefined, undefined],
  ]);
  // Columns that keep their case, too.
  expect(severities("DFF_func_call,status=OK run_cost=1i")).toEqual([undefined]);
});

test("weir.tags is there also when it is empty", () => {
  const attributes = through("m v=1").records[0]?.attributes;
  expect(attributes?.map(({ key }) => key)).toEqual(["v", "weir.tags"]);
});

test("ids that are none stay attributes", () => {
  for (const field of [
    `trace_id="${"0".repeat(32)}"`,
    'trace_id="xyz"',
    "span_id=1i",
    'span_id=""',
  ])
    expect(through(`m ${field}`).records[0]?.attributes[0]?.key).toBe(field.split("=")[0]);
  const tag = through(`m,trace_id=${"a".repeat(32)} v=1`).records[0];
  expect([tag?.traceId, tag?.attributes[0]?.key]).toEqual(["a".repeat(32), "trace_id"]);
});

test("a tag and a field of one name both survive", () => {
  const [record] = through('m,a=x,b\\ c=y a=1i,b\\ c=2u,d="z"').records;
  expect(record?.attributes.map(({ key }) => key)).toEqual([
    ...["a", "b c", "a_", "b c_", "d", "weir.tags", "weir.uint"],
  ]);
  if (record !== undefined) expect(listOf(record, "weir.uint")).toEqual(["b c_"]);
  const many = Array.from({ length: 40 }, (_, i) => `t${i}=x`).join();
  const keys = through(`m,${many} t7=1,u=2`).records[0]?.attributes.map(({ key }) => key);
  expect(keys?.slice(40, 42)).toEqual(["t7_", "u"]);
});

test("consecutive lines of one service share a resource", () => {
  const lines = [
    "a,service=x v=1",
    "b,service=x v=1",
    "c v=1",
    "d,site_name=y v=1",
    "e,site_name=y,service=x v=1",
  ];
  const { services, records } = through(lines.join("\n"), "auto", "dflt");
  expect(services).toEqual(["x", "dflt", "y", "x"]);
  expect(records.map(({ eventName }) => eventName)).toEqual(["a", "b", "c", "d", "e"]);
  expect(through("m,service=a\\ b v=1").services).toEqual(["a b"]);
  expect(through("m v=1").services).toEqual([""]);
});

test.each<[string, Precision, bigint]>([
  ["9999999999", "auto", 9_999_999_999n * 10n ** 9n],
  ["-9999999999", "auto", -9_999_999_999n * 10n ** 9n],
  ["1705314601000", "auto", 1_705_314_601_000_000_000n],
  ["9999999999999", "auto", 9_999_999_999_999n * 10n ** 6n],
  ["1705314602000000", "auto", 1_705_314_602_000_000_000n],
  ["10000000000000000", "auto", 10_000_000_000_000_000n],
  ["1705314600123456789", "auto", 1_705_314_600_123_456_789n],
  ["1705314600123456789", "ns", 1_705_314_600_123_456_789n],
  ["9223372036854775", "us", 9_223_372_036_854_775_000n],
  ["-9223372036854775808", "ns", -(2n ** 63n)],
  ["5", "s", 5_000_000_000n],
  ["5", "ns", 5n],
  ["-1", "ms", -1_000_000n],
])("time %s with precision %s", (digits, precision, nanos) => {
  const { records, replacedTimes } = through(`m v=1 ${digits}`, precision);
  const inRange = BigInt.asIntN(64, nanos) === nanos;
  const want = inRange ? nanos : BigInt(NOW) * 1_000_000n;
  expect(BigInt.asIntN(64, BigInt(records[0]?.timeUnixNano ?? 0))).toBe(want);
  expect(replacedTimes).toBe(inRange ? 0 : 1);
});

test("bad lines are counted, the first is named with its line", () => {
  const { items, badLines, firstBad } = through("a v=1\n\nb v=x\nc v=1\nbad\n");
  expect([items, badLines]).toEqual([2, 2]);
  expect(firstBad).toMatch(/^line 3, byte 5: expected a field value/);
  expect(through("").items).toBe(0);
  expect(through("bad").length).toBe(0);
});

test("undo takes the latest append back, also when it opened a resource", () => {
  const door = new LineDoor(SHAPES, { precision: "auto" });
  expect(append(door, "a,service=x v=1\nbad")).toBe(false);
  expect(append(door, "b,service=x v=1\nDFF_func_call,service=y v=1")).toBe(true);
  door.undo();
  append(door, "c,service=x v=1");
  const { services, records, hasSpread, badLines } = finish(door);
  expect([services, hasSpread, badLines]).toEqual([["x"], false, 1]);
  expect(records.map(({ eventName }) => eventName)).toEqual(["a", "c"]);
  append(door, "d v=1");
  expect(finish(door).records.map(({ eventName }) => eventName)).toEqual(["d"]);
});

test("large lines: long strings, long lists, many tags, long names", () => {
  const x = (n: number) => "x".repeat(n);
  const text = [
    `m s="${x(1_000_000)}",e="${'\\"'.repeat(300_000)}"`,
    `m l=[${Array.from({ length: 100_000 }, () => "1e20").join()}]`,
    `m,${Array.from({ length: 9_000 }, (_, i) => `t${i}=v`).join()} v=1u`,
    `${x(60_000)},${x(60_001)}=${x(60_002)} ${x(60_003)}=1`,
  ].join("\n");
  const { records, badLines } = through(text);
  expect(badLines).toBe(0);
  expect(records[0]?.attributes.map((a) => a.value.stringValue?.length)).toEqual([
    ...[1_000_000, 300_000, undefined],
  ]);
  expect(JSON.parse(records[1]?.attributes[0]?.value.stringValue ?? "")).toHaveLength(100_000);
  expect(records[2]?.attributes).toHaveLength(9_003);
  expect(records[3]?.attributes[0]?.key).toHaveLength(60_001);
});

test("a time of 0 counts as absent", () => {
  const { records, replacedTimes } = through("m v=1 0\nm v=1 1");
  expect(records.map(({ timeUnixNano }) => timeUnixNano)).toEqual([`${NOW}000000`, "1000000000"]);
  expect(replacedTimes).toBe(0);
});

const name = fc
  .array(fc.constantFrom(..."abcxyz_.-ä😀", "\\ ", "\\,", "\\="), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join(""));
const literal = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => `${n}i`),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => `${n}u`),
  fc.constantFrom("t", "FALSE"),
  fc
    .string({ unit: "binary", maxLength: 20 })
    .map((s) => `"${s.toWellFormed().replaceAll(/["\\]/g, "\\$&")}"`),
);
const pairs = (prefix: string, value: fc.Arbitrary<string>, minLength: number) =>
  fc
    .uniqueArray(fc.tuple(name, value), { minLength, maxLength: 6, selector: ([key]) => key })
    .map((list) => list.map(([key, v]) => `${prefix}${key}=${v}`).join());

test("lines → OTLP → lines: equal points for undeclared measurements", () => {
  const time = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter((t) => t !== 0n);
  const line = fc
    .tuple(name, pairs("t", name, 0), pairs("f", literal, 1), time)
    .map(([m, tags, fields, t]) => `m${m}${tags && `,${tags}`} ${fields} ${t}`);
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 5 }), (lines) => {
      const text = Buffer.from(lines.join("\n"));
      const { records, badLines } = through(text, "ns");
      expect(badLines).toBe(0);
      expect(records.map(pointOf)).toEqual(readPoints(text));
    }),
    { numRuns: 1_000 },
  );
});

test("lines whose names the door knows become the records that they become at a new door", () => {
  const values = fc.oneof(
    literal,
    fc.constantFrom("0i", "1i", "127i", "128i", "268435455i", "268435456i", "-1i", "1.5", "t"),
    fc.constantFrom(`"${"a1".repeat(16)}"`, `"${"b2".repeat(8)}"`, '"error"', '[1i,"x"]', '""'),
    fc.integer({ min: 60, max: 140 }).map((n) => `"${"x".repeat(n)}"`),
  );
  const fieldKey = fc.constantFrom(
    ..."v message trace_id span_id status tag duration_ms e\\ f é".split(" "),
    "k".repeat(99),
    "k".repeat(101),
  );
  const tagKey = fc.constantFrom(
    "tag",
    "status",
    "service",
    "site_name",
    "function_id",
    "trace_id",
  );
  const tagValue = fc.constantFrom("error", "x", "y\\ z", "ü", "t".repeat(120), "0".repeat(32));
  const keys = <T>(key: fc.Arbitrary<T>, minLength: number) =>
    fc.uniqueArray(key, { minLength, maxLength: 4 });
  const shape = fc.tuple(
    fc.constantFrom("function_logs", "DFF_func_call", "m", "m\\ n"),
    keys(tagKey, 0),
    keys(fieldKey, 1),
  );
  const lineOf = ([m, tags, fields]: readonly [string, string[], string[]]) =>
    fc
      .tuple(
        fc.array(tagValue, { minLength: tags.length, maxLength: tags.length }),
        fc.array(values, { minLength: fields.length, maxLength: fields.length }),
      )
      .map(
        ([t, f]) =>
          `${m}${tags.map((key, i) => `,${key}=${t[i]}`).join("")} ${fields.map((key, i) => `${key}=${f[i]}`).join()} 1705314600000000000`,
      );
  const lines = fc
    .array(shape, { minLength: 1, maxLength: 3 })
    .chain((shapes) => fc.array(fc.oneof(...shapes.map(lineOf)), { minLength: 2, maxLength: 12 }));
  fc.assert(
    fc.property(lines, (all) => {
      const door = new LineDoor(SHAPES, { precision: "auto", serviceName: "svc" });
      for (const line of all) append(door, line);
      const one = finish(door);
      const apart = all.map((line) => through(line, "auto", "svc"));
      expect(one.records).toEqual(apart.flatMap(({ records }) => records));
      const services = apart.flatMap((each) => each.services);
      expect(one.services).toEqual(services.filter((s, i) => s !== services[i - 1]));
      expect(one.badLines).toBe(apart.reduce((sum, { badLines }) => sum + badLines, 0));
    }),
    { numRuns: 400 },
  );
});

test("more sets of names than the door remembers, and names too many or too long to remember", () => {
  const door = new LineDoor(SHAPES, { precision: "auto" });
  const many = Array.from({ length: 70 }, (_, i) => `t${i}=x`).join();
  const lines = Array.from({ length: 600 }, (_, i) => {
    const n = (i * 7) % 40;
    if (n === 5) return `many,${many} v=${i}i`;
    if (n === 6) return `long,${"k".repeat(3_000)}=x v=${i}i`;
    return `m${n},t${n}=a f${n}=${i}i,u=${i}u`;
  });
  for (const line of lines) append(door, line);
  const { records } = finish(door);
  expect(records.map(pointOf)).toEqual(
    lines.map((line) => ({
      ...readPoints(Buffer.from(line))[0],
      time: BigInt(NOW) * 1_000_000n,
    })),
  );
});

const fuzz = fuzzRounds(20_000);

test(
  `${fuzz.rounds} damaged datagrams: what is taken is fit for the pipelines, and its strings are UTF-8`,
  () => fuzzInChild("fuzz-lines.ts", fuzz),
  fuzz.limitMs + 5_000,
);
