import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { createDash0 } from "../../src/exporters/dash0/index.ts";
import { makeSlab } from "../../src/kit/slabs.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { recordingLog, recordingMeter, sending } from "../support/export-rig.ts";
import { grpcSink } from "../support/grpc-sink.ts";
import { httpSink } from "../support/http-sink.ts";
import { batchOfSignal, indexer, rangeOf } from "../support/line-writing.ts";
import { decodeRequest, encodeRequest, type Json } from "../support/otlp.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
const factory = createDash0(pickItems);

function exporter<S extends Signal = "logs">(options: object = {}, signal = "logs" as S) {
  const config = factory.schema.parse({ region: "eu-west-1", token: "auth_x", ...options });
  const backend = factory.create<S>(config, {
    ...{ id: "dash0", route: `dash0/${signal}`, signal, indexer, nowMs: () => NOW },
    ...{ log: recordingLog(), meter: recordingMeter(), fail: () => {} },
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
  const backend = exporter(options);
  const range = rangeOf([batchOfSignal("logs", logs(records))], NOW);
  const slab = makeSlab(bytes);
  const result = backend.writer.write(range, 0, records.length, slab);
  const request = decodeRequest("logs", slab.bytes.subarray(0, slab.length)) as {
    resourceLogs?: { scopeLogs: { logRecords: Json[] }[] }[];
  };
  const got = (request.resourceLogs ?? []).flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords),
  );
  return { ...result, request, got };
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
  expect(written([record]).to).toBe(0);
  expect(written([{ body: { stringValue: "c" } }, record]).to).toBe(1);
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
    exporter({ ...options, ...more }).post(body, sending, AbortSignal.timeout(2_000));
  expect(await post({ endpoint: `http://${grpc.address}` })).toMatchObject({ is: "sent" });
  expect(await post({ endpoint: http.url, protocol: "http" })).toMatchObject({ is: "sent" });
  expect(grpc.calls[0]?.headers).toMatchObject(expected);
  expect(http.requests[0]).toMatchObject({ url: "/v1/logs", headers: expected });
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
  [{ proxy_url: "http://p:1" }, "`protocol: http` only"],
  [{ headers: { "x-a": "s3cret\n" } }, "line break"],
])("%j is a configuration error", (options, message) => {
  const { error } = factory.schema.safeParse({ region: "eu-west-1", token: "auth_x", ...options });
  expect(error?.issues[0]?.message).toContain(message);
  expect(JSON.stringify(error?.issues)).not.toContain("s3cret");
});
