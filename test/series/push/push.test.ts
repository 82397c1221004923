import { describe, expect, test } from "vitest";
import { recordsOf } from "../../receivers/loki/rig.ts";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";
import { leastCpuMs } from "../../support/cpu.ts";
import { seeded } from "../../support/seeded.ts";
import { decodePush } from "../loki/push-proto.ts";
import { pushes } from "../loki/writing.ts";
import { anyPush } from "./any-push.ts";
import { encodings, NO_LIMITS, NOW_MS, Reading } from "./reading.ts";
import { serviceOf, slowRecords } from "./slow-push.ts";

const fuzz = fuzzRounds(3_000);
const nanos = BigInt(NOW_MS) * 1_000_000n;

test(
  `${fuzz.rounds} damaged pushes: each ends, in steps of any size with the same result`,
  () => fuzzInChild("../series/push/fuzz-child.ts", fuzz),
  fuzz.limitMs + 5_000,
);

test("the three encodings equal the slow twin, at a stretch and in steps", () => {
  const random = seeded(11);
  const reading = new Reading();
  for (let round = 0; round < 250; round++) {
    const streams = anyPush(random, NOW_MS);
    const { protobuf, json, old } = encodings(streams);
    const wanted = slowRecords(streams);
    const step = random(2) === 0 ? 1 + random(200) : undefined;
    for (const [format, body] of [
      ["protobuf", protobuf],
      ["json", json],
      ["json", old],
    ] as const) {
      const records = recordsOf([reading.read(format, body, step)]);
      expect(
        records.map(({ line, time, resource, attributes }) => ({
          line,
          time,
          service: resource["service.name"] ?? "",
          attributes,
        })),
      ).toEqual(wanted);
    }
    expect(reading.entries.streams).toBe(streams.length);
  }
});

test("push → OTLP → push: the same streams, times, lines and metadata come out of the loki exporter", () => {
  const random = seeded(12);
  const reading = new Reading();
  const labels = ["job", "app", "env", "_x", "A9", "container"];
  for (let round = 0; round < 150; round++) {
    const streams = anyPush(random, NOW_MS);
    const request = reading.read("protobuf", encodings(streams).protobuf);
    const sent = pushes([request], { labels }).bodies.flatMap(decodePush);
    const came = streams.flatMap(({ labels, entries }) => {
      const named = { ...labels, service_name: serviceOf(labels) || "unknown_service" };
      const stream = flat({ ...named, level: "unknown" });
      return entries.map(({ nanos, line, metadata }) => [
        stream,
        nanos,
        line,
        flat(Object.fromEntries(metadata.map(([name, value]) => [named_(name), value]))),
      ]);
    });
    const went = sent.flatMap(({ labels, entries }) =>
      entries.map(({ nanos, line, metadata }) => [
        flat(parsed(labels)),
        nanos,
        line,
        flat(Object.fromEntries(metadata)),
      ]),
    );
    const text = (entry: unknown[]) => entry.map(String).join("|");
    expect(went.map(text).sort()).toEqual(came.map(text).sort());
  }
});

/** Without empty values, in one order. */
function flat(pairs: Readonly<Record<string, string>>): string {
  const all = Object.entries(pairs).filter(([, value]) => value !== "");
  return JSON.stringify(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Labels that the exporter wrote, by the obvious expression. */
function parsed(labels: string): Record<string, string> {
  const pairs = [...labels.matchAll(/([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*")/g)];
  return Object.fromEntries(pairs.map(([, name = "", value = '""']) => [name, JSON.parse(value)]));
}

/** Structured metadata has names without other characters. */
function named_(name: string): string {
  const plain = name.replace(/\W/g, "_");
  return /^\d/.test(plain) ? `key_${plain}` : plain;
}

describe("truncated at every byte", () => {
  const streams = [
    {
      labels: { app: "a", env: 'p"q' },
      entries: [
        { nanos, line: "one", metadata: [["k", "v"]] as const },
        { nanos: nanos + 1n, line: "two\n", metadata: [] },
      ],
    },
    { labels: { b: "c" }, entries: [{ nanos, line: "three", metadata: [] }] },
  ];
  const { protobuf, json, old } = encodings(streams);
  test.each([
    ["protobuf", protobuf],
    ["json", json],
    ["json", old],
  ] as const)("%s", (format, body) => {
    const reading = new Reading();
    const whole = recordsOf([reading.read(format, body)]);
    for (let length = 0; length < body.length; length++) {
      const part = body.subarray(0, length);
      let records: unknown[] = [];
      try {
        records = recordsOf([reading.read(format, part)]);
      } catch (reason) {
        expect(String(reason)).toMatch(/^PipelineError: /);
        continue;
      }
      expect(format, `${length} bytes are no JSON`).toBe("protobuf");
      expect(whole).toEqual(expect.arrayContaining(records));
    }
    expect(recordsOf([reading.read(format, body)])).toEqual(whole);
  });
});

describe("limits", () => {
  const entry = (line: string, metadata: readonly (readonly [string, string])[] = []) =>
    encodings([{ labels: { a: "b" }, entries: [{ nanos, line, metadata }] }]).protobuf;
  const many = (n: number) => Array.from({ length: n }, (_, i) => [`k${i}`, "v"] as const);
  test.each([
    [{ maxLineBytes: 10 }, entry("x".repeat(10)), entry("x".repeat(11))],
    [{ maxLineBytes: 10 }, entry("x"), entry("x".repeat(100))],
    [
      { maxMetadataBytes: 10 },
      entry("", [["k", "v".repeat(9)]]),
      entry("", [["k", "v".repeat(10)]]),
    ],
    [{ maxMetadataPairs: 10 }, entry("", many(10)), entry("", many(11))],
    [{ maxMetadataPairs: 10 }, entry("", many(1)), entry("", many(4_500))],
    [
      { maxValueBytes: 1 },
      entry(""),
      encodings([{ labels: { a: "bc" }, entries: [{ nanos, line: "", metadata: [] }] }]).protobuf,
    ],
  ])("%o", (limits, good, bad) => {
    const reading = new Reading({ ...NO_LIMITS, ...limits });
    expect(recordsOf([reading.read("protobuf", good)]).length).toBe(1);
    expect(reading.entries.bad).toBe(0);
    expect(recordsOf([reading.read("protobuf", bad)])).toEqual([]);
    expect(reading.entries.bad).toBe(1);
    expect(reading.entries.errors.text()).not.toBe("");
  });

  test("labels that make a small body large are too large at a stretch, and end a step", () => {
    const labels = Object.fromEntries(
      Array.from({ length: 15 }, (_, i) => [`l${i}`, "v".repeat(2_000)]),
    );
    const entries = Array.from({ length: 4_000 }, () => ({ nanos, line: "", metadata: [] }));
    const { protobuf, json } = encodings([{ labels, entries }]);
    const limits = { ...NO_LIMITS, maxValueBytes: 2_048 };
    for (const [format, body] of [
      ["protobuf", protobuf],
      ["json", json],
    ] as const) {
      expect(() => new Reading(limits).read(format, body)).toThrow(/take more than 67108864 bytes/);
      expect(recordsOf([new Reading(limits).read(format, body, 1 << 18)]).length).toBe(4_000);
    }
  });

  test("a stream whose labels are not taken costs its entries next to nothing", async () => {
    const entries = Array.from({ length: 20_000 }, () => ({ nanos, line: "x", metadata: [] }));
    const { protobuf } = encodings([{ labels: { a: "v".repeat(1 << 20) }, entries }]);
    const read = () => {
      const reading = new Reading();
      expect(recordsOf([reading.read("protobuf", protobuf)])).toEqual([]);
      expect(reading.entries.bad).toBe(20_000);
    };
    expect(await leastCpuMs(read)).toBeLessThan(1_000);
  });

  test("lists before labels, again and again, are looked through once", async () => {
    const lists = '"values":[],'.repeat(50_000);
    const body = `{"streams":[{${lists}"values":[["${nanos}","x"]],"stream":{"a":"b"}}]}`;
    const read = () => {
      const [record] = recordsOf([new Reading().read("json", Buffer.from(body))]);
      expect(record?.attributes).toEqual({ a: "b" });
    };
    expect(await leastCpuMs(read)).toBeLessThan(1_000);
  });

  test("10,000 different errors are 20 in the answer, and a count", () => {
    const reading = new Reading({ ...NO_LIMITS, maxAgeMs: 1 });
    const entries = Array.from({ length: 10_000 }, (_, i) => ({
      nanos: BigInt(i) * 1_000_000_000n,
      line: "x",
      metadata: [],
    }));
    reading.read("protobuf", encodings([{ labels: { a: "b" }, entries }]).protobuf);
    expect(reading.entries.bad).toBe(10_000);
    const text = reading.entries.errors.text();
    expect(text.split("; ").length).toBe(21);
    expect(text).toMatch(/9980 other errors$/);
  });

  test("times that do not fit 64 bits of nanoseconds are not taken", () => {
    const reading = new Reading();
    for (const nanos of [10n ** 19n, 10n ** 20n]) {
      const { protobuf } = encodings([
        { labels: {}, entries: [{ nanos, line: "", metadata: [] }] },
      ]);
      expect(recordsOf([reading.read("protobuf", protobuf)])).toEqual([]);
      expect(reading.entries.errors.text()).toMatch(/timestamp too new/);
    }
  });
});

describe("lines of promtail-client", () => {
  const read = (line: string, labels = {}) => {
    const reading = new Reading(NO_LIMITS, true);
    const push = encodings([{ labels, entries: [{ nanos, line, metadata: [] }] }]).protobuf;
    const [record] = recordsOf([reading.read("protobuf", push)]);
    return record;
  };
  test.each([
    [
      "Info: source = lambda, function= fn-a,  time = 2023-02-12 14:02:18.123456789 +0000 UTC m=+1200.1, record = {'a': 1}\n\n",
      { line: "{'a': 1}\n", time: "1676210538123456789", attributes: { function: "fn-a" } },
    ],
    [
      'Error: source="lambda", function="fn b", team="x", time = 2023-02-12 14:02:18 -0530 IST, record = a, record = b\n',
      { line: "a, record = b", time: "1676230338000000000", attributes: { function: "fn b" } },
    ],
    ["Info: source = lambda, function= f,  time = never, record = x\n", undefined],
    ["Info: time = 2023-02-12 14:02:18 +0000 UTC\n", undefined],
    ["plain", undefined],
    ["", undefined],
  ])("%j", (line, wanted) => {
    const untouched = { line, time: String(nanos), attributes: {} };
    expect(read(line)).toMatchObject(wanted ?? untouched);
  });

  test("a label of the name is not replaced", () => {
    const line =
      "Info: source = lambda, function= f,  time = 2023-02-12 14:02:18 +0000 UTC, record = x\n";
    expect(read(line, { function: "g" })?.attributes).toEqual({ function: "g" });
  });
});
