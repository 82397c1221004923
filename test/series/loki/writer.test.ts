import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../../bench/payloads.ts";
import { GrowingMemory } from "../../../src/series/loki/memory.ts";
import { Streams } from "../../../src/series/loki/streams.ts";
import { fuzzRounds } from "../../support/child-fuzz.ts";
import { batchOf, rangeOf, slabOf } from "../../support/line-writing.ts";
import { decodePush, encodePush, type PushStream } from "./push-proto.ts";
import { slowPush } from "./slow-push.ts";
import { attributes, LIMITS, logsOf, lokiWriter, NOW_MS, pushes, tables } from "./writing.ts";

const NOW = `${NOW_MS}000000`;
const TRACE = "0af7651916cd43dd8448eb211c80319c";

function streamsOf(records: readonly object[], resource?: object, options = {}): PushStream[] {
  return pushes([logsOf(records, resource)], options).bodies.flatMap(decodePush);
}

const { rounds, seed, limitMs } = fuzzRounds(150);

test(
  "fuzz: the Loki writer equals its slow twin, in a child with a kill timer",
  () => {
    const child = join(import.meta.dirname, "fuzz-child.ts");
    const run = spawnSync(process.execPath, [child, seed, rounds], { timeout: limitMs });
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.status).toBe(0);
  },
  limitMs + 5_000,
);

test.each([
  ["plain", plainLogs(300)],
  ["mixed", mixedLogs(200, 7)],
])("%s payloads: the bytes of the slow twin", (_name, bytes) => {
  const { bodies } = pushes([bytes]);
  const options = { tables, labels: [], limits: LIMITS, nowMs: NOW_MS, arrivalMs: NOW_MS };
  const expected = encodePush(slowPush(bytes, options).streams);
  expect(Buffer.concat(bodies).equals(Buffer.from(expected))).toBe(true);
});

test("labels, line and structured metadata of a record", () => {
  const [stream, ...others] = streamsOf(
    [
      {
        timeUnixNano: NOW,
        severityNumber: 17,
        severityText: "ERROR",
        body: { stringValue: "Function failed" },
        eventName: "device.failed",
        traceId: TRACE,
        spanId: "b7ad6b7169203331",
        attributes: attributes({
          "http.route": "/a b",
          "9lives": 9,
          東京: "only underscores",
          ok: true,
          function: "resize",
        }),
      },
    ],
    {
      attributes: attributes({
        "service.name": 'sh"op\n',
        "deployment.environment.name": "prod",
        "host.name": "h1",
      }),
    },
  );
  expect(others).toEqual([]);
  expect(stream).toEqual({
    labels: String.raw`{deployment_env="prod",function="resize",level="error",service_name="sh\"op\n"}`,
    entries: [
      {
        nanos: BigInt(NOW),
        line: "Function failed",
        metadata: [
          ["event_name", "device.failed"],
          ["trace_id", TRACE],
          ["span_id", "b7ad6b7169203331"],
          ["http_route", "/a b"],
          ["key_9lives", "9"],
          ["key___", "only underscores"],
          ["ok", "true"],
          ["host_name", "h1"],
        ],
      },
    ],
  });
});

test.each([
  [{}, "unknown"],
  [{ severityNumber: 1 }, "trace"],
  [{ severityNumber: 8 }, "debug"],
  [{ severityNumber: 9, severityText: "NOTICE" }, "info"],
  [{ severityNumber: 16 }, "warn"],
  [{ severityNumber: 24 }, "fatal"],
  [{ severityNumber: 25 }, "unknown"],
  [{ severityText: "WARNING" }, "warn"],
  [{ severityText: "crit" }, "fatal"],
  [{ severityText: "no such level at all" }, "unknown"],
  [{ attributes: attributes({ level: "Error" }) }, "error"],
  [{ severityNumber: 5, attributes: attributes({ level: "Error" }) }, "debug"],
])("level of %j: %s", (record, level) => {
  expect(streamsOf([record])[0]?.labels).toBe(`{level="${level}",service_name="unknown_service"}`);
});

test("a record's own value comes before its resource's, and what is no label is metadata", () => {
  const resource = { attributes: attributes({ "faas.name": "f1", "service.name": "s1", a: "r" }) };
  const long = "x".repeat(2_049);
  const [first, second, third] = streamsOf(
    [
      { attributes: attributes({ "function.name": "f2", "service.name": "s2", a: "own" }) },
      { attributes: attributes({ a: "own" }) },
      { attributes: attributes({ function: long, source: "" }) },
    ],
    resource,
  );
  expect(first?.labels).toBe('{function="f2",level="unknown",service_name="s2"}');
  expect(first?.entries[0]?.metadata).toEqual([
    ["a", "own"],
    ["faas_name", "f1"],
  ]);
  expect(second?.labels).toBe('{function="f1",level="unknown",service_name="s1"}');
  expect(second?.entries[0]?.metadata).toEqual([["a", "own"]]);
  // The third is of the second's stream.
  expect(third).toBeUndefined();
  expect(second?.entries[1]?.metadata).toEqual([
    ["function", long],
    ["a", "r"],
  ]);
});

test("labels of the options, and text that is not UTF-8 is no label", () => {
  const bytes = Buffer.from(
    logsOf([{ attributes: attributes({ "cloud.region": "eu", source: "QQ" }) }]),
  );
  bytes[bytes.indexOf("QQ")] = 0xff;
  const { bodies } = pushes([bytes], { labels: ["cloud.region"] });
  const labels = '{cloud_region="eu",level="unknown",service_name="unknown_service"}';
  expect(bodies[0]?.includes(Buffer.from(labels))).toBe(true);
  expect(bodies[0]?.includes(Buffer.from("\u0006source\u0012\u0002\xff", "latin1"))).toBe(true);
});

test("bodies that are not text, rows of tables, and lines", () => {
  const tags = { arrayValue: { values: [{ stringValue: "host" }] } };
  const records = [
    { body: { kvlistValue: { values: attributes({ a: 1, b: "x" }) } } },
    { body: { intValue: "12" } },
    {},
    {
      eventName: "function_logs",
      body: { stringValue: "body" },
      attributes: attributes({ message: "column" }),
    },
    {
      timeUnixNano: "1700000000000000000",
      eventName: "cpu",
      attributes: attributes({ host: "h", usage: 5, "weir.tags": tags }),
    },
    { eventName: "cpu", attributes: attributes({ message: "m", "weir.tags": tags }) },
    { body: { stringValue: "b" }, attributes: attributes({ message: "m" }) },
  ];
  const { entries = [] } = streamsOf(records)[0] ?? {};
  const found = Object.fromEntries(entries.map(({ line, metadata }) => [line, metadata]));
  expect(found).toEqual({
    '{"a":1,"b":"x"}': [],
    "12": [],
    "": [],
    column: [
      ["event_name", "function_logs"],
      ["body", "body"],
    ],
    "cpu,host=h usage=5i 1700000000000000000": [
      ["event_name", "cpu"],
      ["host", "h"],
      ["usage", "5"],
    ],
    m: [["event_name", "cpu"]],
    b: [["message", "m"]],
  });
});

test("an unsigned field of a line is unsigned in structured metadata", () => {
  const namesOf = (...names: string[]) => ({
    arrayValue: { values: names.map((stringValue) => ({ stringValue })) },
  });
  const list = attributes({ n: { intValue: "-1" }, m: { intValue: "-1" }, message: "x" });
  const mark = attributes({ "weir.tags": namesOf(), "weir.uint": namesOf("n") });
  const [stream] = streamsOf([{ eventName: "l", attributes: [...list, ...mark] }]);
  expect(stream?.entries[0]?.metadata).toEqual([
    ["event_name", "l"],
    ["n", "18446744073709551615"],
    ["m", "-1"],
  ]);
});

test("entries of a stream are in the order of their times, equal ones as they came", () => {
  const times = [5, 3, 9, 3, 1, 9, 0];
  const records = times.map((time, i) => ({
    timeUnixNano: String(1_700_000_000_000_000_000n + BigInt(time)),
    severityNumber: i % 2 === 0 ? 9 : 17,
    body: { stringValue: `${time}.${i}` },
  }));
  const streams = streamsOf(records);
  expect(streams.map(({ entries }) => entries.map(({ line }) => line))).toEqual([
    ["0.6", "1.4", "5.0", "9.2"],
    ["3.1", "3.3", "9.5"],
  ]);
});

const DAY_MS = 86_400_000;
test.each([
  [-7 * DAY_MS, {}],
  [-7 * DAY_MS - 1, { too_old: 1 }],
  [600_000, {}],
  [600_001, { too_new: 1 }],
])("a record of now %i ms: dropped %j", (ahead, dropped) => {
  const limits = { maxAgeMs: 7 * DAY_MS, maxAheadMs: 600_000 };
  const request = logsOf([
    { timeUnixNano: `${NOW_MS + ahead}000000`, body: { stringValue: "x" } },
    { timeUnixNano: NOW },
  ]);
  const result = pushes([request], { limits });
  expect(result.dropped).toEqual(dropped);
  expect(result.rows).toBe(Object.keys(dropped).length === 0 ? 2 : 1);
});

test("a line that is too long becomes numbered parts, cut between characters", () => {
  const text = "äöü".repeat(100);
  const { bodies, splits, rows } = pushes(
    [logsOf([{ timeUnixNano: NOW, body: { stringValue: text } }])],
    {
      limits: { lineBytes: 255 },
    },
  );
  const { entries = [] } = decodePush(bodies[0] as Buffer)[0] ?? {};
  expect(entries.map(({ line }) => line).join("")).toBe(text);
  expect(entries.map(({ line }) => Buffer.byteLength(line))).toEqual([254, 254, 92]);
  expect(entries.map(({ metadata }) => metadata)).toEqual(
    ["1/3", "2/3", "3/3"].map((part) => [["line_part", part]]),
  );
  expect(entries.map(({ nanos }) => nanos - BigInt(NOW))).toEqual([0n, 1n, 2n]);
  expect([splits, rows]).toEqual([1, 3]);
});

test.each([
  ["exactly its bytes", { bytes: 101, pairs: 9 }, 100, {}, 1],
  ["a byte more", { bytes: 101, pairs: 9 }, 101, { metadata_too_large: 1 }, 0],
  ["a long value more", { bytes: 1_000, pairs: 9 }, 1_000, { metadata_too_large: 1 }, 0],
  ["exactly its entries", { bytes: 1_000, pairs: 1 }, 5, {}, 1],
  ["an entry more", { bytes: 1_000, pairs: 0 }, 5, { metadata_too_many: 1 }, 0],
])("structured metadata of %s", (_what, limits, length, leftOut, count) => {
  for (const place of ["record", "resource"]) {
    const list = attributes({ a: "x".repeat(length) });
    const request =
      place === "record" ? logsOf([{ attributes: list }]) : logsOf([{}], { attributes: list });
    const result = pushes([request], { limits });
    expect(result.leftOut).toEqual(leftOut);
    expect(decodePush(result.bodies[0] as Buffer)[0]?.entries[0]?.metadata.length).toBe(count);
  }
});

test("more attributes than fit and names that are equal once written are counted, the record is there", () => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`name.${i}`, "v"]));
  const result = pushes([
    logsOf([{ attributes: [...attributes(many), ...attributes({ "name-0": 1, "": "no name" })] }]),
  ]);
  const [entry] = decodePush(result.bodies[0] as Buffer)[0]?.entries ?? [];
  expect(entry?.metadata.length).toBe(128);
  expect(result.leftOut).toEqual({ metadata_too_many: 72, repeated: 1, no_name: 1 });
});

test("names that are too long to be interned are compared all the same", () => {
  const long = `${"n".repeat(300)}.x`;
  const same = `${"n".repeat(300)}_x`;
  const result = pushes([
    logsOf([{ attributes: attributes({ [long]: "own", [same]: "again" }) }, {}], {
      attributes: attributes({ [same]: "resource", [long]: "again" }),
    }),
  ]);
  const entries = decodePush(result.bodies[0] as Buffer)[0]?.entries;
  expect(entries?.map(({ metadata }) => metadata)).toEqual([[[same, "own"]], [[same, "resource"]]]);
  expect(result.leftOut).toEqual({ repeated: 4 });
});

test("any part of a range in any slab: each entry once, never more than fits", () => {
  const requests = [plainLogs(40), mixedLogs(60, 3), plainLogs(1)];
  const whole = pushes(requests).bodies.flatMap(decodePush);
  const textsOf = (streams: readonly PushStream[]) =>
    streams
      .flatMap(({ labels, entries }) =>
        entries.map(({ nanos, line, metadata }) =>
          JSON.stringify([labels, String(nanos), line, metadata]),
        ),
      )
      .sort();
  for (const slab of [1_100, 3_000, 20_000]) {
    const { bodies } = pushes(requests, { slab });
    expect(bodies.length).toBeGreaterThan(1);
    expect(Math.max(...bodies.map(({ length }) => length))).toBeLessThanOrEqual(slab);
    expect(textsOf(bodies.flatMap(decodePush))).toEqual(textsOf(whole));
  }
});

test("what is in the slab stays, and an item that alone is too large is not written", () => {
  const { writer } = lokiWriter();
  const range = rangeOf([batchOf(logsOf([{ body: { stringValue: "x".repeat(500) } }]))], NOW_MS);
  const slab = slabOf(300);
  expect(writer.write(range, 0, 1, slab)).toMatchObject({ to: 0, rows: 0 });
  expect(slab.length).toBe(0);
  const roomy = slabOf(2_000);
  roomy.bytes.set([1, 2, 3]);
  roomy.length = 3;
  writer.write(range, 0, 1, roomy);
  expect([...roomy.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
  expect(decodePush(roomy.bytes.subarray(3, roomy.length))[0]?.entries.length).toBe(1);
  expect(writer.itemOfRow()).toBe(-1);
});

test("many streams, found again whatever the seed of their hash", () => {
  const records = Array.from({ length: 1_000 }, (_, i) => ({
    attributes: attributes({ function: `f${i % 500}` }),
    body: { stringValue: String(i) },
  }));
  const streams = streamsOf(records);
  expect(streams.length).toBe(500);
  expect(streams.every(({ entries }) => entries.length === 2)).toBe(true);
  const memory = new GrowingMemory();
  for (const seed of [0, 1, -1]) {
    const table = new Streams(memory, seed);
    const find = (text: string) => {
      memory.bytes.set(Buffer.from(text));
      return table.find(memory, text.length);
    };
    const numbers = records.map((_, i) => find(`{f="${i}"}`));
    expect(new Set(numbers).size).toBe(1_000);
    expect(records.map((_, i) => find(`{f="${i}"}`))).toEqual(numbers);
  }
});
