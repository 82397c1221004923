import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { createOtlpHttp } from "../../src/exporters/otlp_http/index.ts";
import { otlpHttpVerdict } from "../../src/kit/client/otlp-verdicts.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import type { Range } from "../../src/otlp/range.ts";
import { partialSuccessBody, statusBody, successBody } from "../../src/otlp/responses.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { recordingLog, recordingMeter, sending } from "../support/export-rig.ts";
import { httpSink, type SinkAnswer } from "../support/http-sink.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

const NOW = Date.UTC(2026, 0, 1);
const indexer = createIndexer();
const protobuf = "application/x-protobuf";

function batchOf<S extends Signal>(signal: S, request: object): Batch<S> {
  const bytes = encodeRequest(signal, request);
  const indexed = indexer.index(signal, bytes, bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  return indexed.batch;
}

interface Record {
  readonly body: string;
  readonly attributes?: readonly object[];
}

function logs(...records: readonly Record[]): Batch<"logs"> {
  const logRecords = records.map(({ body, attributes = [] }) => {
    return { body: { stringValue: body }, attributes };
  });
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "s" } }] };
  return batchOf("logs", { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
}

function rangeOf<S extends Signal>(...batches: readonly Batch<S>[]): Range<S> {
  const note = new Uint8Array(0);
  const frames = batches.map((batch, i) => ({ seq: i + 1, batch, arrivalMs: 0, note }));
  return {
    first: 1,
    last: batches.length,
    frames,
    items: batches.reduce((n, b) => n + b.items, 0),
  };
}

async function otlp<S extends Signal>(
  signal: S,
  options: object,
  ...script: readonly SinkAnswer[]
) {
  const sink = await httpSink(...script);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const log = recordingLog();
  const factory = createOtlpHttp(pickItems, writeRequestJson);
  const config = factory.schema.parse({ endpoint: sink.url, ...options });
  const backend = factory.create<S>(config, {
    id: "otlp_http",
    route: `otlp_http/${signal}`,
    signal,
    log,
    meter: recordingMeter(),
    indexer,
    nowMs: () => NOW,
    fail: () => {},
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  const post = (body: Uint8Array) => backend.post(body, sending, AbortSignal.timeout(60_000));
  return { sink, backend, post, log };
}

/** Bodies of all log records of a request, in order. */
function bodiesOf(bytes: Uint8Array): string[] {
  return [
    ...JSON.stringify(decodeRequest("logs", bytes)).matchAll(/"body":\{"stringValue":"([^"]*)"/g),
  ].map((m) => m[1] as string);
}

test("untouched frames leave with the bytes they came in with, one after the other", async () => {
  const { backend } = await otlp("logs", {});
  const [a, b] = [logs({ body: "1" }, { body: "2" }), logs({ body: "3" })];
  const slab = makeSlab(10_000);
  expect(backend.writer.write(rangeOf(a, b), 0, 3, slab)).toMatchObject({ to: 3, rows: 3 });
  const expected = Buffer.concat([a.bytes.subarray(0, a.length), b.bytes.subarray(0, b.length)]);
  expect(Buffer.from(slab.bytes.subarray(0, slab.length))).toEqual(expected);
  expect(bodiesOf(expected)).toEqual(["1", "2", "3"]);
});

test("any part of a range is exactly its items, whatever fits", async () => {
  const { backend } = await otlp("logs", {});
  const names = Array.from({ length: 12 }, (_, i) => `record-${i}`);
  const batch = (from: number, to: number) =>
    logs(...names.slice(from, to).map((body) => ({ body })));
  const range = rangeOf(batch(0, 5), batch(5, 6), batch(6, 12));
  for (const bytes of [64, 100, 200, 10_000])
    for (let from = 0; from < 12; from++)
      for (let to = from + 1; to <= 12; to++) {
        const got: string[] = [];
        for (let at = from; at < to; ) {
          const slab = makeSlab(bytes);
          const written = backend.writer.write(range, at, to, slab);
          expect(written.to).toBeGreaterThan(at);
          expect(slab.length).toBeLessThanOrEqual(bytes);
          got.push(...bodiesOf(slab.bytes.subarray(0, slab.length)));
          at = written.to;
        }
        expect(got).toEqual(names.slice(from, to));
      }
  expect(backend.writer.write(range, 3, 12, makeSlab(20)).to).toBe(3);
  expect(backend.writer.itemOfRow(range, 3, 4)).toBe(7);
});

const shaped = logs(
  {
    body: "line",
    attributes: [
      { key: "weir.tags", value: { arrayValue: { values: [{ stringValue: "t" }] } } },
      { key: "t", value: { stringValue: "x" } },
      { key: "weir.uint", value: { arrayValue: { values: [] } } },
    ],
  },
  { body: "plain" },
);

test.each([
  [{}, false],
  [{ keep_line_shape: true }, true],
])("%j: line shape kept: %j", async (options, kept) => {
  const { backend } = await otlp("logs", options);
  const slab = makeSlab(10_000);
  backend.writer.write(rangeOf(shaped), 0, 2, slab);
  const text = JSON.stringify(decodeRequest("logs", slab.bytes.subarray(0, slab.length)));
  expect(text.includes("weir.tags")).toBe(kept);
  expect(text.includes("weir.uint")).toBe(kept);
  expect(text).toContain('"key":"t"');
  expect(text).toContain("plain");
});

test.each([
  ["logs", "/v1/logs"],
  ["traces", "/v1/traces"],
  ["metrics", "/v1/metrics"],
] as const)("%s go to %s", async (signal, url) => {
  const { sink, post } = await otlp(signal, {}, { status: 200 });
  expect(await post(new Uint8Array([10, 0]))).toEqual({ is: "sent", unconfirmed: false });
  expect(sink.requests[0]).toMatchObject({ method: "POST", url, body: Buffer.from([10, 0]) });
  expect(sink.requests[0]?.headers["content-type"]).toBe(protobuf);
});

test("an address of its own, headers and gzip", async () => {
  const target = await otlp("logs", {}, { status: 200 });
  const { post } = await otlp("logs", {
    endpoint: undefined,
    logs_endpoint: `${target.sink.url}/otlp/logs?x=1`,
    compression: "gzip",
    headers: { Authorization: "Bearer s3cret", "x-scope": "a|b" },
  });
  await post(new Uint8Array(1_000));
  const request = target.sink.requests[0];
  expect(request?.url).toBe("/otlp/logs?x=1");
  expect(request?.headers).toMatchObject({
    authorization: "Bearer s3cret",
    "x-scope": "a|b",
    "content-encoding": "gzip",
  });
  expect(gunzipSync(request?.body ?? "")).toEqual(Buffer.alloc(1_000));
});

test("zstd", async () => {
  const { sink, post } = await otlp("logs", { compression: "zstd" }, { status: 200 });
  await post(new Uint8Array(1_000));
  expect(sink.requests[0]?.headers["content-encoding"]).toBe("zstd");
  expect(zstdDecompressSync(sink.requests[0]?.body ?? "")).toEqual(Buffer.alloc(1_000));
});

test("encoding: json: any part of a range is one JSON request with exactly its items", async () => {
  const { backend, sink, post } = await otlp("logs", { encoding: "json" }, { status: 200 });
  const names = Array.from({ length: 9 }, (_, i) => `record-${i} "]}`);
  const batch = (from: number, to: number) =>
    logs(...names.slice(from, to).map((body) => ({ body })));
  const range = rangeOf(batch(0, 4), batch(4, 5), batch(5, 9));
  const bodies = (text: string) =>
    (JSON.parse(text) as { resourceLogs: unknown[] }).resourceLogs.flatMap((group) =>
      [...JSON.stringify(group).matchAll(/"body":\{"stringValue":("(?:[^"\\]|\\.)*")/g)].map(
        ([, body = ""]) => JSON.parse(body) as string,
      ),
    );
  for (const bytes of [220, 400, 700, 10_000])
    for (let from = 0; from < 9; from++) {
      const got: string[] = [];
      for (let at = from; at < 9; ) {
        const slab = makeSlab(bytes);
        const written = backend.writer.write(range, at, 9, slab);
        expect(written.to).toBeGreaterThan(at);
        got.push(...bodies(Buffer.from(slab.bytes.subarray(0, slab.length)).toString()));
        at = written.to;
      }
      expect(got).toEqual(names.slice(from));
    }
  await post(new Uint8Array(0));
  expect(sink.requests[0]?.headers["content-type"]).toBe("application/json");
});

test.each([
  [{ endpoint: undefined }, "at least one endpoint must be specified"],
  [{ headers: { "x a": "b" } }, "not a header name"],
  [{ headers: { "x-a": "s3cret\n" } }, "line break"],
  [{ headers: { "Content-Length": "1" } }, "written by the client itself"],
  [{ compression: "snappy" }, ""],
  [{ proxy_url: "proxy:3128" }, "expected a URL"],
  [{ proxy_url: "ftp://s3cret@proxy" }, "expected a URL"],
  [{ endpont: "x" }, "endpont"],
  [{ endpoint: "http://u:s3cret@127.0.0.1:1" }, "credentials"],
  [{ traces_endpoint: "http://s3cret@127.0.0.1:1/v1/traces" }, "credentials"],
  [{ compression: "gzip", compression_params: { level: 10 } }, "levels 1 to 9"],
  [{ compression: "zstd", compression_params: { level: 0 } }, ""],
  [{ sending_queue: { wait_for_result: true, on_full: "skip" } }, "a sender waits for"],
  [{ sending_queue: { enabled: false, on_full: "drop_oldest" } }, "a sender waits for"],
  [{ sending_queue: { storage: "file_storage", wait_for_result: true } }, "only without storage"],
])("%j is a configuration error", (options, message) => {
  const { schema } = createOtlpHttp(pickItems, writeRequestJson);
  const { error } = schema.safeParse({ endpoint: "http://127.0.0.1:1", ...options });
  expect(error?.issues[0]?.message).toContain(message);
  expect(JSON.stringify(error?.issues)).not.toContain("s3cret");
});

test("a configuration of the Collector with its options of connections is taken", () => {
  const { schema } = createOtlpHttp(pickItems, writeRequestJson);
  const options = {
    endpoint: "https://127.0.0.1:1",
    compression: "gzip",
    read_buffer_size: 1,
    write_buffer_size: 524_288,
    max_idle_conns: 100,
    max_idle_conns_per_host: 10,
    max_conns_per_host: 0,
    idle_conn_timeout: "90s",
    force_attempt_http2: true,
    http2_read_idle_timeout: "10s",
    http2_ping_timeout: "15s",
    compression_params: { level: 9 },
  };
  expect(schema.safeParse(options).error).toBeUndefined();
});

test("a signal without an address is a configuration error", () => {
  const { schema, unsupported } = createOtlpHttp(pickItems, writeRequestJson);
  const config = schema.parse({ traces_endpoint: "http://127.0.0.1:1/v1/traces" });
  expect(unsupported?.(config, "traces")).toBeUndefined();
  expect(unsupported?.(config, "logs")).toMatch(/set endpoint or logs_endpoint/);
});

test.each(["gzip", "zstd"] as const)(
  "%s: the level is the one of compression_params",
  async (compression) => {
    const text = new TextEncoder().encode(
      Array.from({ length: 4_000 }, (_, i) => `item ${i * i} of ${i % 7}`).join("\n"),
    );
    const bytesAt = async (compression_params: object) => {
      const { sink, post } = await otlp(
        "logs",
        { compression, compression_params },
        { status: 200 },
      );
      await post(text);
      return sink.requests[0]?.body.length ?? 0;
    };
    expect(await bytesAt({ level: 9 })).toBeLessThan(await bytesAt({}));
    expect(await bytesAt({ level: 1 })).toBe(await bytesAt({}));
  },
);

test("header values never print", () => {
  const { schema } = createOtlpHttp(pickItems, writeRequestJson);
  const config = schema.parse({ endpoint: "http://127.0.0.1:1", headers: { a: "s3cret" } });
  expect(JSON.stringify(config)).not.toContain("s3cret");
});

const status = (kind: "invalid" | "refused", encoding: "protobuf" | "json") =>
  statusBody({ kind, why: "because", retryAfterMs: 0 }, encoding);

test.each([
  [200, { is: "sent" }],
  [202, { is: "sent" }],
  [301, { is: "pause" }],
  [307, { is: "pause" }],
  [400, { is: "rejected" }],
  [401, { is: "pause" }],
  [403, { is: "pause" }],
  [404, { is: "pause" }],
  [405, { is: "pause" }],
  [408, { is: "rejected" }],
  [409, { is: "rejected" }],
  [413, { is: "split" }],
  [415, { is: "pause" }],
  [422, { is: "rejected" }],
  [429, { is: "retry", afterMs: 3_000 }],
  [500, { is: "rejected" }],
  [501, { is: "rejected" }],
  [502, { is: "retry", afterMs: 3_000 }],
  [503, { is: "retry", afterMs: 3_000 }],
  [504, { is: "retry", afterMs: 3_000 }],
  [599, { is: "rejected" }],
  [999, { is: "retry", alarm: true }],
])("HTTP %i", (code, expected) => {
  const answer = { status: code, body: Buffer.alloc(0), retryAfter: "3", contentType: protobuf };
  expect(otlpHttpVerdict(answer, NOW, () => {})).toMatchObject(expected);
});

test.each(["protobuf", "json"] as const)("%s answers are read", (encoding) => {
  const contentType = encoding === "json" ? "application/json" : protobuf;
  const told: unknown[] = [];
  const verdict = (code: number, body: Uint8Array) =>
    otlpHttpVerdict(
      { status: code, body: Buffer.from(body), retryAfter: undefined, contentType },
      NOW,
      (...said) => told.push(said),
    );
  expect(verdict(200, successBody(encoding))).toEqual({ is: "sent", unconfirmed: false });
  expect(told).toEqual([]);
  for (const signal of ["logs", "metrics", "traces"] as const)
    expect(verdict(200, partialSuccessBody(signal, 3, "too old", encoding))).toEqual({
      is: "sent",
      unconfirmed: false,
      dropped: new Map([["rejected_by_destination", 3]]),
    });
  expect(verdict(200, partialSuccessBody("logs", 0, "deprecated", encoding))).toEqual({
    is: "sent",
    unconfirmed: false,
  });
  expect(told).toEqual([
    [3, "too old"],
    [3, "too old"],
    [3, "too old"],
    [0, "deprecated"],
  ]);
  expect(verdict(400, status("invalid", encoding))).toMatchObject({ why: "HTTP 400: because" });
  expect(verdict(200, Buffer.from("<html>"))).toEqual({ is: "sent", unconfirmed: false });
});

test("a compression that the server does not know pauses the route, whatever items it was about", () => {
  const verdict = (said: string) =>
    otlpHttpVerdict(
      { status: 400, body: Buffer.from(said), retryAfter: undefined, contentType: "text/plain" },
      NOW,
      () => {},
    );
  expect(verdict("unsupported Content-Encoding: zstd\n")).toMatchObject({
    is: "pause",
    why: expect.stringMatching(/zstd \(.*set another\)/),
  });
  expect(verdict("bad item: unsupported content-encoding")).toMatchObject({ is: "rejected" });
});

test("a text answer to a refusal is told as it is, and a partial success once in the log", async () => {
  const body = partialSuccessBody("logs", 1, "too old", "protobuf");
  const ok = { status: 200, body, headers: { "content-type": protobuf } };
  const { post, log } = await otlp("logs", {}, ok);
  await post(new Uint8Array(0));
  await post(new Uint8Array(0));
  expect(log.lines).toHaveLength(1);
  const bad = await otlp(
    "logs",
    {},
    { status: 403, body: "go away", headers: { "content-type": "text/plain" } },
  );
  expect(await bad.post(new Uint8Array(0))).toEqual({
    is: "pause",
    why: "HTTP 403: go away (check headers)",
  });
});
