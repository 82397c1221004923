import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { createDash0 } from "../../src/exporters/dash0/index.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { recordingLog, recordingMeter, sending } from "../support/export-rig.ts";
import { rawDestination } from "../support/fault-destinations.ts";
import { grpcSink } from "../support/grpc-sink.ts";
import { httpSink } from "../support/http-sink.ts";
import { batchOfSignal, indexer, rangeOf } from "../support/line-writing.ts";
import { decodeRequest, encodeRequest, type Json } from "../support/otlp.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
const LEFT_OUT = "weir_exporter_left_out_attributes_total";
const factory = createDash0(pickItems);

function exporter<S extends Signal = "logs">(
  options: object = {},
  signal = "logs" as S,
  meter = recordingMeter(),
) {
  const config = factory.schema.parse({ region: "eu-west-1", token: "auth_x", ...options });
  const backend = factory.create<S>(config, {
    ...{ id: "dash0", route: `dash0/${signal}`, signal, indexer, nowMs: () => NOW },
    ...{ log: recordingLog(), meter, fail: () => {} },
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  return backend;
}

const nanos = (ms: number) => `${ms}000000`;

function logs(records: readonly object[]): Uint8Array {
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "s" } }] };
  const scope = { name: "scope" };
  const scopeLogs = [{ scope, logRecords: records, schemaUrl: "u" }];
  return encodeRequest("logs", { resourceLogs: [{ resource, scopeLogs, schemaUrl: "v" }] });
}

/** Everything that a range writes, decoded by the oracle. */
function written(records: readonly object[], options = {}, bytes = 1 << 20) {
  const meter = recordingMeter();
  const backend = exporter(options, "logs", meter);
  const range = rangeOf([batchOfSignal("logs", logs(records))], NOW);
  const slab = makeSlab(bytes);
  const result = backend.writer.write(range, 0, records.length, slab);
  const request = decodeRequest("logs", slab.bytes.subarray(0, slab.length)) as {
    resourceLogs?: { scopeLogs: { logRecords: Json[] }[] }[];
  };
  const got = (request.resourceLogs ?? []).flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords),
  );
  /** Once the destination, which is one in these options, has the request. */
  const leftOut = async () => {
    const body = slab.bytes.subarray(0, slab.length);
    expect(meter.value(LEFT_OUT)).toBe(0);
    await backend.post(body, sending, AbortSignal.timeout(60_000));
    return meter.value(LEFT_OUT);
  };
  return { ...result, request, got, leftOut };
}

/** Options of a destination that takes what comes. */
async function destination() {
  const sink = await httpSink({ status: 200 });
  onTestFinished(() => sink[Symbol.asyncDispose]());
  return { region: undefined, endpoint: sink.url, protocol: "http" };
}

const text = (record: Json | undefined) =>
  (record?.["body"] as { stringValue?: string } | undefined)?.stringValue ?? "";
const attribute = (record: Json, key: string) =>
  (record["attributes"] as { key: string; value: object }[]).find((one) => one.key === key)?.value;

test("bodies of 4096 bytes stay, longer ones are split into numbered parts with the same ids", () => {
  const ids = { traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "0102030405060708" };
  const attributes = [{ key: "k", value: { stringValue: "v" } }];
  const long = { ...ids, attributes, severityNumber: 9, body: { stringValue: "é".repeat(4_100) } };
  const { got, rows, to } = written([
    { body: { stringValue: "x".repeat(4_096) } },
    long,
    { body: { stringValue: "short" } },
  ]);
  expect({ rows, to }).toEqual({ rows: 3, to: 3 });
  expect(got.map((record) => Buffer.byteLength(text(record)))).toEqual([4_096, 4_096, 4_096, 8, 5]);
  const parts = got.slice(1, 4);
  expect(parts.map(text).join("")).toBe(long.body.stringValue);
  for (const [i, part] of parts.entries()) {
    expect(part).toMatchObject({ ...ids, severityNumber: 9 });
    expect(attribute(part, "k")).toEqual({ stringValue: "v" });
    expect(attribute(part, "log.record.part")).toEqual({ intValue: `${i + 1}` });
    expect(attribute(part, "log.record.parts")).toEqual({ intValue: "3" });
  }
});

test("a long body that is no text goes as JSON", () => {
  const values = Array.from({ length: 600 }, (_, i) => ({
    key: `key-${i}`,
    value: { intValue: `${i}` },
  }));
  const { got } = written([{ body: { kvlistValue: { values } } }]);
  expect(JSON.parse(got.map(text).join(""))["key-599"]).toBe(599);
  expect(got.length).toBeGreaterThan(1);
});

test("any text comes together again, and all else is untouched", () => {
  const record = fc.record({
    body: fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.string({ unit: "binary", minLength: 1_000, maxLength: 9_000 }),
    ),
    flags: fc.nat(255),
  });
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (records) => {
      const { got, request } = written(
        records.map(({ body, flags }) => ({ body: { stringValue: body.toWellFormed() }, flags })),
      );
      const whole: string[] = [];
      for (const one of got) {
        expect(Buffer.byteLength(text(one))).toBeLessThanOrEqual(4_096);
        const part = attribute({ attributes: [], ...one }, "log.record.part") as
          | { intValue: string }
          | undefined;
        if (part === undefined || part.intValue === "1") whole.push(text(one));
        else whole.push(`${whole.pop()}${text(one)}`);
      }
      expect(whole).toEqual(records.map(({ body }) => body.toWellFormed()));
      expect(request.resourceLogs).toMatchObject([
        { schemaUrl: "v", scopeLogs: [{ scope: { name: "scope" }, schemaUrl: "u" }] },
      ]);
    }),
    { numRuns: 25, seed: 7 },
  );
});

test("parts that together do not fit are not made: such an item alone does not fit", () => {
  const attributes = [{ key: "large", value: { stringValue: "a".repeat(400_000) } }];
  const record = { attributes, body: { stringValue: "b".repeat(400_000) } };
  const options = { max_attribute_value_size: 0 };
  expect(written([record], options).to).toBe(0);
  expect(written([{ body: { stringValue: "c" } }, record], options).to).toBe(1);
});

test("items older than 6 hours are left out and counted, those without a time stay", () => {
  const at = (ms: number, body: string) => ({
    timeUnixNano: nanos(ms),
    body: { stringValue: body },
  });
  const records = [
    at(NOW - 6 * HOUR - 1, "old"),
    at(NOW - 6 * HOUR, "just in time"),
    { body: { stringValue: "none" } },
    { observedTimeUnixNano: nanos(NOW - 7 * HOUR), body: { stringValue: "observed long ago" } },
    at(NOW, "new"),
  ];
  const { got, rows, to, dropped } = written(records);
  expect(got.map(text)).toEqual(["just in time", "none", "new"]);
  expect({ rows, to, dropped }).toEqual({ rows: 3, to: 5, dropped: new Map([["too_old", 2]]) });
  expect(written(records, { max_age: "0s" }).got).toHaveLength(5);
  const all = written([at(1, "a"), at(2, "b")]);
  expect(all).toMatchObject({ rows: 0, to: 2, dropped: new Map([["too_old", 2]]), got: [] });
});

test("items further than 3 days ahead are left out and counted", () => {
  const records = [{ timeUnixNano: nanos(NOW + 73 * HOUR) }, { timeUnixNano: nanos(NOW + HOUR) }];
  expect(written(records)).toMatchObject({ rows: 1, to: 2, dropped: new Map([["too_new", 1]]) });
  expect(written(records, { max_ahead: "0s" })).toMatchObject({ rows: 2, dropped: new Map() });
});

const texts = (n: number, length = 1) =>
  Array.from({ length: n }, (_, i) => ({
    key: `k${i}`,
    value: { stringValue: "v".repeat(length) },
  }));
const keysOf = (record: Json | undefined) =>
  ((record?.["attributes"] ?? []) as { key: string }[]).map(({ key }) => key);

test("attributes that Dash0 would not take are left out and counted, the first ones stay", async () => {
  const options = await destination();
  const sixteen = written([{ attributes: texts(16) }], options);
  expect(sixteen.got[0]?.["attributes"]).toHaveLength(16);
  expect(await sixteen.leftOut()).toBe(0);
  const two = [{ attributes: texts(20) }, { attributes: texts(2) }];
  const { got, leftOut, rows } = written(two, options);
  expect(keysOf(got[0])).toEqual(texts(16).map(({ key }) => key));
  expect(keysOf(got[1])).toEqual(["k0", "k1"]);
  expect({ leftOut: await leftOut(), rows }).toEqual({ leftOut: 4, rows: 2 });
  const all = written([{ attributes: texts(20) }], { ...options, max_log_attributes: 0 });
  expect(await all.leftOut()).toBe(0);
  const long = { attributes: texts(16), body: { stringValue: "b".repeat(5_000) } };
  const parts = written([long], options);
  expect(parts.got.map(keysOf)).toEqual(
    [1, 2].map(() =>
      [...texts(14), { key: "log.record.part" }, { key: "log.record.parts" }].map(({ key }) => key),
    ),
  );
  expect(await parts.leftOut()).toBe(2);
});

test("long names and values: a text is cut between characters, what is no text is left out", async () => {
  const list = { arrayValue: { values: texts(300).map(({ value }) => value) } };
  const record = {
    attributes: [
      { key: "n".repeat(129), value: { stringValue: "x" } },
      { key: "n".repeat(128), value: { intValue: "1" } },
      { key: "long", value: { stringValue: `${"v".repeat(2_047)}é` } },
      { key: "full", value: { stringValue: "v".repeat(2_048) } },
      {
        key: "list",
        value: {
          arrayValue: { values: [...list.arrayValue.values, { stringValue: "w".repeat(2_000) }] },
        },
      },
      { key: "short list", value: list },
    ],
  };
  const { got, leftOut } = written([record], await destination());
  expect(keysOf(got[0])).toEqual(["n".repeat(128), "long", "full", "short list"]);
  expect(attribute(got[0] as Json, "long")).toEqual({ stringValue: "v".repeat(2_047) });
  expect(attribute(got[0] as Json, "full")).toEqual({ stringValue: "v".repeat(2_048) });
  expect(await leftOut()).toBe(3);
});

test("spans may have 32 attributes, data points any number", () => {
  const span = {
    traceId: "0102030405060708090a0b0c0d0e0f10",
    spanId: "0102030405060708",
    attributes: texts(33),
  };
  const keys = (signal: "traces" | "metrics", request: object) => {
    const range = rangeOf([batchOfSignal(signal, encodeRequest(signal, request))], NOW);
    const slab = makeSlab(100_000);
    exporter({}, signal).writer.write(range, 0, 1, slab);
    const text = JSON.stringify(decodeRequest(signal, slab.bytes.subarray(0, slab.length)));
    return text.split('"key":').length - 1;
  };
  expect(keys("traces", { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })).toBe(32);
  const dataPoints = [{ asInt: "1", attributes: texts(40) }];
  const metrics = [{ name: "m", gauge: { dataPoints } }];
  expect(keys("metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] })).toBe(40);
});

test("spans and data points have an age as well", () => {
  const span = (ms: number) => ({
    traceId: "0102030405060708090a0b0c0d0e0f10",
    spanId: "0102030405060708",
    startTimeUnixNano: nanos(ms),
  });
  const bytes = encodeRequest("traces", {
    resourceSpans: [{ scopeSpans: [{ spans: [span(NOW), span(NOW - 7 * HOUR)] }] }],
  });
  const range = rangeOf([batchOfSignal("traces", bytes)], NOW);
  const result = exporter({}, "traces").writer.write(range, 0, 2, makeSlab(10_000));
  expect(result).toMatchObject({ rows: 1, to: 2, dropped: new Map([["too_old", 1]]) });
});

test("untouched telemetry leaves with the bytes it came in with", () => {
  const bytes = logs([{ timeUnixNano: nanos(NOW), body: { stringValue: "x" } }]);
  const slab = makeSlab(10_000);
  exporter().writer.write(rangeOf([batchOfSignal("logs", bytes)], NOW), 0, 1, slab);
  expect(Buffer.from(slab.bytes.subarray(0, slab.length))).toEqual(Buffer.from(bytes));
});

test("token and dataset go with every request, over gRPC and over HTTP", async () => {
  const grpc = await grpcSink([{}]);
  const http = await httpSink({ status: 200 });
  onTestFinished(async () => {
    await grpc[Symbol.asyncDispose]();
    await http[Symbol.asyncDispose]();
  });
  const expected = { authorization: "Bearer auth_x", "dash0-dataset": "prod", "x-a": "b" };
  const options = {
    region: undefined,
    dataset: "prod",
    compression: "none",
    headers: { "x-a": "b" },
  };
  const body = new Uint8Array([10, 0]);
  const post = (more: object) =>
    exporter({ ...options, ...more }).post(body, sending, AbortSignal.timeout(60_000));
  expect(await post({ endpoint: `http://${grpc.address}` })).toMatchObject({ is: "sent" });
  expect(await post({ endpoint: http.url, protocol: "http" })).toMatchObject({ is: "sent" });
  expect(grpc.calls[0]?.headers).toMatchObject(expected);
  expect(http.requests[0]).toMatchObject({ url: "/v1/logs", headers: expected });
});

test.each([
  [{ region: "eu-west-1" }, "ingress.eu-west-1.aws.dash0.com:4318"],
  [{ region: "europe-west4", cloud: "gcp" }, "ingress.europe-west4.gcp.dash0.com:4318"],
])("%j is at %s", async (options, address) => {
  const asked: string[] = [];
  const proxy = await rawDestination((socket) => {
    socket.once("data", (head: Buffer) => {
      asked.push(head.toString("latin1").split("\r\n")[0] ?? "");
      socket.end("HTTP/1.1 403 No\r\n\r\n");
    });
  });
  const backend = exporter({ ...options, protocol: "http", proxy_url: `http://${proxy}` });
  const verdict = await backend.post(new Uint8Array([10, 0]), sending, AbortSignal.timeout(60_000));
  expect(verdict).toMatchObject({ is: "retry", why: expect.stringContaining(address) });
  expect(asked).toEqual([`CONNECT ${address} HTTP/1.1`]);
});

test.each([
  [{ region: undefined }, "set either region or endpoint"],
  [{ endpoint: "x:1" }, "set either region or endpoint"],
  [{ region: "EU" }, "expected a region"],
  [{ region: "x.evil.com/" }, "expected a region"],
  [{ token: "" }, "expected the auth token"],
  [{ token: "two words" }, "expected the auth token"],
  [{ dataset: "a b" }, "no spaces"],
  [{ region: undefined, endpoint: "collector" }, "expected host:port"],
  [{ region: undefined, endpoint: "collector:1", protocol: "http" }, "expected a URL"],
  [{ region: undefined, endpoint: "http://u:s3cret@h:1", protocol: "http" }, "not in the URL"],
  [{ headers: { authorization: "s3cret" } }, "belongs in token"],
  [{ headers: { "dash0-dataset": "s3cret" } }, "belongs in dataset"],
  [{ proxy_url: "http://p:1" }, "`protocol: http` only"],
  [{ headers: { "x-a": "s3cret\n" } }, "line break"],
])("%j is a configuration error", (options, message) => {
  const { error } = factory.schema.safeParse({ region: "eu-west-1", token: "auth_x", ...options });
  expect(error?.issues[0]?.message).toContain(message);
  expect(JSON.stringify(error?.issues)).not.toContain("s3cret");
});
