import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { plainMetrics } from "../../bench/payloads.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";
import { fuzzRounds } from "../support/child-fuzz.ts";
import { cpuMs } from "../support/cpu.ts";
import { batchOfSignal, indexer, rangeOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";
import { anyMetrics } from "./any-metrics.ts";
import { writePoints } from "./point-writing.ts";
import { slowPoints } from "./slow-points.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const TIME = "1705314600123456789";
const tables = shippedTables();
const lost: string[] = [];
const options = { signal: "metrics", tables, keys: indexer.keys, dialect: "v3" } as const;
const writer = compileLineWriter({
  ...options,
  onFieldDropped: (table, column, reason, n) => lost.push(`${table} ${column} ${reason} ${n}`),
});

const rangeOfMetrics = (json: object) =>
  rangeOf([batchOfSignal("metrics", encodeRequest("metrics", json))], ARRIVAL_MS);
const text = (stringValue: string) => ({ stringValue });
const attributesOf = (names: Record<string, object>) =>
  Object.entries(names).map(([key, value]) => ({ key, value }));
const request = (metrics: object[], resource: Record<string, object> = {}) => ({
  resourceMetrics: [
    { resource: { attributes: attributesOf(resource) }, scopeMetrics: [{ metrics }] },
  ],
});
const gauge = (name: string, ...dataPoints: object[]) => ({ name, gauge: { dataPoints } });
const point = (asDouble: number, names: Record<string, object> = {}, more: object = {}) => ({
  attributes: attributesOf(names),
  timeUnixNano: TIME,
  asDouble,
  ...more,
});
/** What becomes of a request, and the values that were left out. */
function written(json: object) {
  lost.length = 0;
  const points = writePoints(writer, rangeOfMetrics(json));
  return { ...points, lost: [...lost] };
}

const { rounds, seed, limitMs } = fuzzRounds(150);

test(
  "fuzz: data points equal their slow twin, in a child with a kill timer",
  () => {
    const child = join(import.meta.dirname, "fuzz-points.ts");
    const run = spawnSync(process.execPath, [child, seed, rounds], { timeout: limitMs });
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
  limitMs + 5_000,
);

describe("the writer of data points", () => {
  test("agrees with its slow twin on the payload of the benches", () => {
    const bytes = plainMetrics(300);
    const range = rangeOf([batchOfSignal("metrics", bytes)], ARRIVAL_MS);
    expect(writePoints(writer, range)).toEqual(slowPoints(bytes, tables, "v3", ARRIVAL_MS));
  });

  test("gives the same rows however the items are cut, and names the item of each row", () => {
    fc.assert(
      fc.property(anyMetrics, fc.integer({ min: 20, max: 4_000 }), (json, slabLength) => {
        const range = rangeOfMetrics(json);
        const whole = writePoints(writer, range);
        const byTable = (lines: string) =>
          readRows(lines).map(({ table, tags, time }) => JSON.stringify([table, tags, time]));
        let cut = { text: "", rows: 0, dropped: {} };
        try {
          cut = writePoints(writer, range, slabLength);
        } catch {
          return; // one item alone does not fit
        }
        // A row that is shared is written again for what stands behind the cut: the same row to every server.
        expect(new Set(byTable(cut.text))).toEqual(new Set(byTable(whole.text)));
        expect(cut.dropped).toEqual(whole.dropped);
        const items = Array.from({ length: whole.rows }, (_, row) =>
          writer.itemOfRow(range, 0, row),
        ).filter((item) => item >= 0);
        expect(items).toEqual([...new Set(items)].sort((a, b) => a - b));
        expect(() => writer.itemOfRow(range, 0, whole.rows)).toThrow(/was not written/);
      }),
      { numRuns: 80 },
    );
  });

  test("a call for some items writes these alone, and a row is of the first item that shares it", () => {
    const shared = (rows: number) =>
      gauge("DFF_db_table.rows", point(rows, { target: text("t") }, { timeUnixNano: TIME }));
    const length = gauge("DFF_db_table.data_length", point(5, { target: text("t") }));
    const range = rangeOfMetrics(request([shared(1), gauge("m", point(2)), length]));
    const whole = writePoints(writer, range);
    expect(whole.text).toBe(
      `DFF_db_table,target=t data_length=5i,rows=1i ${TIME}\nm,service_name=unknown_service gauge=2 ${TIME}\n`,
    );
    expect(whole.dropped).toEqual({});
    // -1: the loop narrows such a row down to its items.
    expect([0, 1].map((row) => writer.itemOfRow(range, 0, row))).toEqual([-1, 1]);
    expect(writer.itemOfRow(range, 1, 1)).toBe(2);
  });

  test("ids among the attributes of a table's point are fields, malformed ones count as absent", () => {
    const ids = {
      trace_id: text("0".repeat(32)),
      traceId: text("4BF92F3577B34DA6A3CE929D0E0E4736"),
      span_id: text("00f067aa0ba902b"),
    };
    const { text: lines, lost } = written(
      request([gauge("DFF_worker_queue.length", point(1, ids))]),
    );
    expect(lost).toEqual(["DFF_worker_queue span_id malformed 1"]);
    expect(lines).toBe(
      `DFF_worker_queue length=1i,trace_id="4bf92f3577b34da6a3ce929d0e0e4736" ${TIME}\n`,
    );
  });

  test("a metric that is called like a table gets _metric, also once it is cleaned", () => {
    const { text: lines } = written(
      request(["logs", "#logs", "lo\u0001gs", "logs.x"].map((name) => gauge(name, point(1)))),
    );
    expect(readRows(lines).map(({ table }) => table)).toEqual([
      "logs_metric",
      "logs_metric",
      "logs_metric",
      "logs.x",
    ]);
  });

  test("names that a row has itself, empty names and equal names", () => {
    const { text: lines, lost: left } = written(
      request([
        gauge(
          "m",
          point(1, {
            time: text("a"),
            time_: text("b"),
            gauge: text("c"),
            "": text("d"),
            k: text("e"),
            "k\u0001": text("f"),
            service_name: text("mine"),
            "\u0001": text("g"),
            empty: text(""),
            cleaned: text("\u0001"),
          }),
        ),
      ]),
    );
    expect(readRows(lines)).toEqual([
      {
        table: "m",
        tags: {
          time_: "a",
          time__: "b",
          gauge: "c",
          k: "e",
          k_: "f",
          service_name: "mine",
        },
        fields: { gauge_: { float: 1 } },
        time: TIME,
      },
    ]);
    expect(left.sort()).toEqual(["  characters 3", "metrics  empty 3"]);
  });

  test("tags of the resource are an option", () => {
    const mine = compileLineWriter({
      ...options,
      metricTags: ["cloud.region", "service.name", "cloud.region", "time", "k8s.pod name"],
    });
    const resource = { "cloud.region": text("eu"), time: text("t"), "k8s.pod name": text("p") };
    const range = rangeOfMetrics(request([gauge("m", point(1))], resource));
    expect(writePoints(mine, range).text).toBe(
      `m,cloud_region=eu,service_name=unknown_service,time_=t,k8s_pod\\ name=p gauge=1 ${TIME}\n`,
    );
  });

  test("numbers in their shortest form, integers as exact as a float is", () => {
    const values = [
      { asInt: "9007199254740993" },
      { asInt: "-9223372036854775808" },
      { asDouble: 0.1 },
      { asDouble: 5e-324 },
      { asDouble: -0 },
      { asDouble: 1e21 },
    ];
    const { text: lines } = written(
      request([gauge("m", ...values.map((value) => ({ timeUnixNano: TIME, ...value })))]),
    );
    expect([...lines.matchAll(/gauge=(\S+)/g)].map(([, one]) => one)).toEqual([
      "9007199254740992",
      "-9223372036854776000",
      "0.1",
      "5e-324",
      "-0",
      "1e+21",
    ]);
  });

  test("NaN and infinities are left out and counted; a point without a value makes no row", () => {
    const summary = {
      timeUnixNano: TIME,
      count: "2",
      sum: Number.NaN,
      quantileValues: [
        { quantile: 0.5, value: Number.NaN },
        { quantile: 0.9, value: 1 },
        { quantile: 0.9, value: 2 },
      ],
    };
    const result = written(
      request([
        gauge("m", point(Number.NaN), point(Number.POSITIVE_INFINITY), { timeUnixNano: TIME }),
        gauge("DFF_worker_queue.length", point(1.5), point(Number.NaN), { timeUnixNano: TIME }),
        gauge("", point(1)),
        { name: "s", summary: { dataPoints: [summary] } },
      ]),
    );
    expect(result.text).toBe(`s,service_name=unknown_service count=2,0.9=1 ${TIME}\n`);
    expect(result.dropped).toEqual({ no_value: 6, no_name: 1 });
    expect(result.lost.sort()).toEqual([
      "DFF_worker_queue length inexact 1",
      "DFF_worker_queue length not_finite 1",
      "metrics gauge not_finite 2",
      "metrics quantiles not_finite 1",
      "metrics quantiles repeated 1",
      "metrics sum not_finite 1",
    ]);
  });

  test("a summary without observations has a sum of 0, a histogram without a sum has none", () => {
    const dataPoints = [{ timeUnixNano: TIME }];
    const { text: lines } = written(
      request([
        { name: "s", summary: { dataPoints } },
        { name: "h", histogram: { dataPoints, aggregationTemporality: 2 } },
      ]),
    );
    expect(lines).toBe(
      `s,service_name=unknown_service count=0,sum=0 ${TIME}\nh,service_name=unknown_service count=0 ${TIME}\n`,
    );
  });

  test("a table that is not chosen gets no row, and its points are counted", () => {
    const names = ["DFF_worker_queue.length", "m"];
    const some = (chosen: string) =>
      writePoints(
        compileLineWriter({
          ...options,
          tables: tables.filter(({ measurement }) => measurement === chosen),
          declared: tables,
        }),
        rangeOfMetrics(request(names.map((name) => gauge(name, point(1, { queue: text("1") }))))),
      );
    expect(some("metrics")).toMatchObject({ rows: 1, dropped: { no_table: 1 } });
    expect(some("DFF_worker_queue")).toMatchObject({ rows: 1, dropped: { no_table: 1 } });
    expect(some("logs")).toMatchObject({ rows: 0, dropped: { no_table: 2 } });
  });

  test("a time out of range is the arrival's, and counted", () => {
    const { text: lines, lost: left } = written(
      request([gauge("m", point(1, {}, { timeUnixNano: "18446744073709551615" }))]),
    );
    expect(lines).toBe("m,service_name=unknown_service gauge=1 1732000000123000000\n");
    expect(left).toEqual(["metrics time range 1"]);
  });

  test("the last exemplar, as fields", () => {
    const exemplar = (traceId: string, asInt: string) => ({
      traceId,
      spanId: "b7ad6b7169203331",
      asInt,
      filteredAttributes: attributesOf({ a: text("b") }),
    });
    const exemplars = [exemplar("", "1"), exemplar("0af7651916cd43dd8448eb211c80319c", "2")];
    const { text: lines } = written(request([gauge("m", point(1, {}, { exemplars }))]));
    expect(lines).toBe(
      `m,service_name=unknown_service gauge=1,exemplar_value=2,exemplar_trace_id="0af7651916cd43dd8448eb211c80319c",exemplar_span_id="b7ad6b7169203331" ${TIME}\n`,
    );
  });
});

describe("histograms", () => {
  const fieldsOf = (name: string, dataPoint: object, aggregationTemporality = 2) => {
    const data = { aggregationTemporality, dataPoints: [{ timeUnixNano: TIME, ...dataPoint }] };
    const result = written(request([{ name: "h", [name]: data }]));
    const [row] = readRows(result.text);
    const fields = Object.entries(row?.fields ?? {}).map(([key, field]) => [
      key,
      Object.values(field)[0],
    ]);
    return { tags: row?.tags, fields: Object.fromEntries(fields), lost: result.lost };
  };

  test("delta ones have a tag", () => {
    const { tags } = fieldsOf("histogram", { count: "0" }, 1);
    expect(tags).toEqual({ temporality: "delta", service_name: "unknown_service" });
  });

  test("bounds that do not rise are left out and counted, their values count for the next", () => {
    const { fields, lost: left } = fieldsOf("histogram", {
      count: "15",
      bucketCounts: ["1", "2", "3", "4", "5"],
      explicitBounds: [1, 1, Number.NaN, 2],
    });
    expect(fields).toEqual({ count: 15, "1": 1, "2": 10, "+Inf": 15 });
    expect(left).toEqual(["metrics bounds malformed 2"]);
  });

  test("bounds and counts that do not fit together are left out and counted", () => {
    const bad = { count: "3", bucketCounts: ["1", "2"], explicitBounds: [1, 2, 3] };
    const { fields, lost: left } = fieldsOf("histogram", bad);
    expect(fields).toEqual({ count: 3 });
    expect(left).toEqual(["metrics bounds malformed 1"]);
  });

  test("a row has at most 499 columns and its time: bounds are thinned evenly", () => {
    const bounds = Array.from({ length: 1_000 }, (_, i) => i);
    const { fields, lost: left } = fieldsOf("histogram", {
      count: "1001",
      bucketCounts: [...bounds, 0].map(() => "1"),
      explicitBounds: bounds,
    });
    const names = Object.keys(fields);
    expect(names.length).toBe(335);
    expect(fields).toMatchObject({ "2": 3, "5": 6, "998": 999, "+Inf": 1001 });
    expect(left.length).toBe(1);
    expect(left[0]).toMatch(/^metrics bounds over_limit \d+$/);
  });

  test("exponential ones: upper bounds from the lowest negative bucket through 0 to the highest", () => {
    const { fields } = fieldsOf("exponentialHistogram", {
      count: "21",
      scale: 0,
      zeroCount: "3",
      positive: { offset: -1, bucketCounts: ["4", "5"] },
      negative: { offset: 0, bucketCounts: ["1", "8"] },
    });
    expect(Object.entries(fields)).toEqual(
      Object.entries({ "0": 12, "1": 16, "2": 21, count: 21, "-2": 8, "-1": 9, "+Inf": 21 }),
    );
  });

  test("exponential ones have at most 160 bounds: neighbours become one bucket", () => {
    const { fields } = fieldsOf("exponentialHistogram", {
      count: "1000",
      scale: 3,
      positive: { offset: 0, bucketCounts: Array.from({ length: 500 }, () => "2") },
    });
    const bounds = Object.keys(fields).filter((name) => name !== "count" && name !== "+Inf");
    expect(bounds.length).toBe(126);
    expect(fields).toMatchObject({ "0": 0, [2 ** 0.5]: 8, "2": 16, [2 ** 62.5]: 1000 });
  });

  test("buckets of both signs are merged as if the scale were smaller, with the ends of their ranges", () => {
    const bucketCounts = Array.from({ length: 90 }, () => "1");
    const { fields } = fieldsOf("exponentialHistogram", {
      count: "180",
      scale: 0,
      positive: { offset: 1, bucketCounts },
      negative: { offset: -1, bucketCounts },
    });
    // (2, 4] is the upper half of (1, 4], and the bucket of 2^-1 the upper half of that of 2^-2.
    expect(fields).toMatchObject({ "4": 91, "16": 93, "-1": 89, "-0.25": 90, "0": 90 });
    expect(fields).toMatchObject({ [-(2 ** 88)]: 1, [-(2 ** 86)]: 3, [2 ** 92]: 180, "+Inf": 180 });
  });

  test("a scale beyond all doubles costs no time and no row", () => {
    for (const scale of [-(2 ** 31), 2 ** 31 - 1]) {
      const buckets = { offset: -2, bucketCounts: ["1", "1", "1", "1"] };
      const { fields } = fieldsOf("exponentialHistogram", {
        count: "8",
        scale,
        positive: buckets,
        negative: buckets,
      });
      expect(fields).toMatchObject({ count: 8, "0": 4 + (scale < 0 ? 1 : 0), "+Inf": 8 });
    }
  });
});

describe("limits of the writer of data points", () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, text("v")]));

  test("489 tags are written, one more costs the point, 10,000 cost no time", () => {
    expect(written(request([gauge("m", point(1, many(487)))])).rows).toBe(1);
    for (const count of [488, 10_000]) {
      const { rows, dropped } = written(request([gauge("m", point(1, many(count)))]));
      expect({ rows, dropped }).toEqual({ rows: 0, dropped: { over_limit: 1 } });
    }
    const { dropped } = written(
      request([gauge("DFF_worker_queue.length", point(1, many(10_000)))]),
    );
    expect(dropped).toEqual({ over_limit: 1 });
  });

  test("many quantiles: as many as a row takes, the others are counted", () => {
    const quantileValues = Array.from({ length: 50_000 }, (_, i) => ({ quantile: i, value: i }));
    const dataPoints = [{ timeUnixNano: TIME, count: "1", sum: 1, quantileValues }];
    const result = written(request([{ name: "s", summary: { dataPoints } }]));
    const fields = Object.keys(readRows(result.text)[0]?.fields ?? {});
    expect(fields.length).toBe(2 + 490);
    expect(result.lost).toEqual([expect.stringMatching(/^metrics quantiles over_limit \d+$/)]);
  });

  test("a value of 1 MB is a tag, and text cannot become structure", () => {
    const long = "a b,c=d\\".repeat(131_072);
    const { text: lines } = written(request([gauge("m x", point(1, { "k=": text(long) }))]));
    const [row] = readRows(lines);
    expect(row?.table).toBe("m x");
    // A backslash at the end of a tag is left out.
    expect(row?.tags["k="]).toBe(long.slice(0, -1));
  });

  test("names that are not interned and values of any kind are written the thorough way", () => {
    const name = "n".repeat(300);
    const values = {
      [name]: { doubleValue: 1.5 },
      list: { arrayValue: { values: [{ intValue: "1" }, text("x y")] } },
      map: { kvlistValue: { values: attributesOf({ a: { boolValue: true } }) } },
      bytes: { bytesValue: Buffer.from("hello").toString("base64") },
      big: { intValue: "9223372036854775807" },
    };
    const { text: lines } = written(request([gauge("m", point(1, values))]));
    expect(readRows(lines)[0]?.tags).toEqual({
      service_name: "unknown_service",
      [name]: "1.5",
      list: '[1,"x y"]',
      map: '{"a":true}',
      bytes: "aGVsbG8=",
      big: "9223372036854775807",
    });
  });

  test("a row of a table has at most 499 columns too: fields behind are left out and counted", () => {
    const names = Array.from({ length: 12 }, (_, i) => `c${i}`);
    const columns = names.map((name) => `  ${name}: { kind: text, doc: ${name}, from: [${name}] }`);
    const yaml = ["measurement: wide", "doc: Wide.", "identity: exact", "columns:", ...columns];
    const [wide] = loadTables([{ name: "wide.yaml", text: yaml.join("\n") }]);
    const left: string[] = [];
    const mine = compileLineWriter({
      ...options,
      tables: wide === undefined ? [] : [wide],
      onFieldDropped: (table, column, reason, n) => left.push(`${table} ${column} ${reason} ${n}`),
    });
    const ofResource = Object.fromEntries(names.map((name) => [name, text("v")]));
    const range = rangeOfMetrics(request([gauge("wide.c0", point(1, many(489)))], ofResource));
    const [row] = readRows(writePoints(mine, range).text);
    expect(Object.keys(row?.tags ?? {}).length).toBe(489);
    expect(Object.keys(row?.fields ?? {})).toEqual(names.slice(0, 10));
    expect(left).toEqual(["wide c10 over_limit 1", "wide c11 over_limit 1"]);
  });

  test("10,000 points of one row of a table are one row", async () => {
    const points = Array.from({ length: 10_000 }, (_, i) => point(i, { queue: text("1") }));
    const write = () => {
      const { text: lines, rows } = written(request([gauge("DFF_worker_queue.length", ...points)]));
      expect({ lines, rows }).toEqual({
        lines: `DFF_worker_queue,queue=1 length=9999i ${TIME}\n`,
        rows: 1,
      });
    };
    expect(await cpuMs(write)).toBeLessThan(5_000);
  });
});
