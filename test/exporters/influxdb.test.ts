import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { createInfluxdb } from "../../src/exporters/influxdb/index.ts";
import { type Api, influxdbVerdict } from "../../src/exporters/influxdb/verdicts.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import type { Table } from "../../src/series/tables/tables.ts";
import {
  exportRig,
  fakeBatch,
  fakeIndexer,
  LineWriter,
  recordingLog,
  recordingMeter,
} from "../support/export-rig.ts";
import { httpSink, type SinkAnswer } from "../support/http-sink.ts";

const NOW = Date.UTC(2026, 0, 1);
const partial = (entries: readonly (readonly [number, string])[]) =>
  JSON.stringify({
    error: "partial write of line protocol occurred",
    data: entries.map(([line_number, error_message]) => ({
      error_message,
      line_number,
      original_line: "function_logs,functi",
    })),
  });
const TYPE =
  "invalid column type for column 'temp', expected iox::column_type::field::float, got iox::column_type::field::string";
const V1_CONFLICT =
  '{"error":"partial write: field type conflict: input field \\"duration_ms\\" on measurement \\"function_logs\\" is type float, already exists as type integer dropped=1"}';
const V1_PARSE =
  '{"error":"partial write: unable to parse \'bad line here x\': invalid field format dropped=0"}';
const V1_TAGS =
  '{"error":"partial write: max-values-per-tag limit exceeded (100000/100000): measurement=\\"function_logs\\" tag=\\"execution_id\\" value=\\"x\\" dropped=1"}';
const V2_CONFLICT =
  '{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \\"x\\" on measurement \\"m\\" is type float, already exists as type integer dropped=1"}';

const V2_TAGS =
  '{"code":"unprocessable entity","message":"failure writing points to database: partial write: max key length exceeded: 70000 > 65535: a tag dropped=1"}';
const V1_TOO_OLD = (rows: number) =>
  `{"error":"partial write: points beyond retention policy dropped=${rows}"}`;
const V2_TOO_OLD = (rows: number) =>
  `{"code":"unprocessable entity","message":"failure writing points to database: partial write: points beyond retention policy dropped=${rows}"}`;

const rows: readonly (readonly [Api, number, string, object, RegExp?])[] = [
  ["v3", 204, "", { is: "sent", unconfirmed: false }],
  ["v3", 200, "", { is: "sent", unconfirmed: false }],
  ["v3", 400, partial([[2, TYPE]]), { is: "rows_rejected", rows: [1] }, /column 'temp'/],
  [
    "v3",
    400,
    partial([
      [2, "a"],
      [5, "b"],
      [2, "c"],
    ]),
    { is: "rows_rejected", rows: [1, 4], reasons: ["a", "b"] },
  ],
  ["v3", 400, partial([]), { is: "rejected" }],
  ["v3", 400, partial([[0, "zero"]]), { is: "rejected" }],
  ["v3", 400, partial([[1.5, "half"]]), { is: "rejected" }],
  ["v3", 400, partial([[2, TYPE]]).slice(0, 120), { is: "rejected" }],
  [
    "v3",
    422,
    partial([[3, "Update to schema would exceed number of tables per database limit of 2000"]]),
    { is: "rows_rejected", rows: [2] },
  ],
  [
    "v3",
    422,
    '{"error":"Adding a new database would exceed limit of 5 databases"}',
    { is: "retry", alarm: true },
  ],
  [
    "v3",
    400,
    '{"error":"line protocol parsing error","data":{"error_message":"No fields were provided","line_number":1,"original_line":"m"}}',
    { is: "rejected" },
    /No fields were provided/,
  ],
  [
    "v3",
    400,
    '{"error":"parsing failed for write_lp endpoint","data":{"error_message":"x","line_number":1,"original_line":"m"}}',
    { is: "rejected" },
  ],
  [
    "v3",
    401,
    '{"error": "the request was not authenticated"}',
    { is: "pause" },
    /not authenticated.*token/,
  ],
  ["v3", 403, '{"error": "forbidden"}', { is: "pause" }],
  ["v3", 413, "max request size (10485760 bytes) exceeded", { is: "split" }, /10485760/],
  ["v3", 429, "this service is overloaded, please try again later", { is: "retry" }, /overloaded/],
  ["v3", 404, '{"error":"not found"}', { is: "retry", alarm: true }, /api/],
  ["v3", 500, '{"error":"internal"}', { is: "retry" }],
  ["v3", 599, "", { is: "retry" }],
  ["v3", 302, "", { is: "retry", alarm: true }, /endpoint/],
  ["v3", 415, "", { is: "rejected" }],
  ["v3", 408, "", { is: "retry" }],
  // The three ways in which InfluxDB 3 says that the name of the database is wrong; and a request without one.
  [
    "v3",
    400,
    '{"error":"db name did not start with a number or letter","data":null}',
    { is: "retry", alarm: true },
    /did not start.*`database`/,
  ],
  [
    "v3",
    400,
    '{"error":"invalid character in database name: must be ASCII, containing only letters, numbers, underscores, or hyphens","data":null}',
    { is: "retry", alarm: true },
  ],
  [
    "v3",
    400,
    '{"error":"invalid character in database or rp name: must be ASCII, containing only letters, numbers, underscores, or hyphens"}',
    { is: "retry", alarm: true },
  ],
  ["v3", 400, "missing query parameter 'db'", { is: "retry", alarm: true }],
  ["v3", 400, "unacceptable content-encoding: zstd", { is: "rejected" }],
  ["v3", 503, "", { is: "retry" }],
  ["v3", 407, "", { is: "retry", alarm: true }, /proxy/],
  ["v2", 204, "", { is: "sent" }],
  [
    "v2",
    400,
    '{"code":"invalid","message":"line protocol parse failed: x"}',
    { is: "rejected" },
    /line protocol parse failed: x/,
  ],
  ["v2", 401, '{"code":"unauthorized","message":"unauthorized access"}', { is: "pause" }],
  ["v2", 403, '{"code":"forbidden","message":"insufficient permissions"}', { is: "pause" }],
  [
    "v2",
    404,
    '{"code":"not found","message":"bucket \\"b\\" not found"}',
    { is: "retry", alarm: true },
    /create the bucket/,
  ],
  ["v2", 413, '{"code":"request too large","message":"x"}', { is: "split" }],
  ["v2", 422, V2_CONFLICT, { is: "rejected" }, /already exists as type integer/],
  ["v2", 500, V2_CONFLICT, { is: "rejected" }],
  [
    "v2",
    500,
    '{"code":"internal error","message":"An internal error has occurred"}',
    { is: "retry" },
  ],
  ["v2", 503, "", { is: "retry" }],
  ["v2", 429, '{"code":"too many requests","message":"x"}', { is: "retry" }],
  ["v2", 500, '{"code":"internal error","message":"partial write: x"}', { is: "rejected" }],
  // Rows below the retention policy: dropped when it is all of them (the request has three), else found by halves.
  ["v2", 422, V2_TOO_OLD(3), { is: "sent", dropped: new Map([["too_old", 3]]) }],
  ["v2", 422, V2_TOO_OLD(2), { is: "rejected" }, /beyond retention/],
  ["v1", 204, "", { is: "sent" }],
  ["v1", 400, V1_CONFLICT, { is: "rejected" }, /field type conflict/],
  ["v1", 400, V1_PARSE, { is: "rejected" }, /unable to parse/],
  ["v1", 400, V1_TAGS, { is: "rejected" }, /max-values-per-tag/],
  ["v1", 401, '{"error":"authorization failed"}', { is: "pause" }],
  [
    "v1",
    404,
    '{"error":"database not found: \\"weir\\""}',
    { is: "retry", alarm: true },
    /database not found: "weir".*CREATE DATABASE/,
  ],
  ["v1", 413, '{"error":"Request Entity Too Large"}', { is: "split" }],
  ["v1", 500, '{"error":"timeout"}', { is: "retry" }],
  ["v1", 503, "", { is: "retry" }],
  [
    "v1",
    403,
    '{"error":"\\"w\\" user is not authorized to write to database \\"weir\\""}',
    { is: "pause" },
  ],
  ["v1", 429, "", { is: "retry" }],
  [
    "v1",
    500,
    '{"error":"retention policy not found: zz"}',
    { is: "retry", alarm: true },
    /zz.*`retention_policy`/,
  ],
  ["v1", 400, V1_TOO_OLD(3), { is: "sent", dropped: new Map([["too_old", 3]]) }],
  ["v1", 400, V1_TOO_OLD(1), { is: "rejected" }, /beyond retention/],
];

const cases = rows.map(([api, status, body, expected, why]) => {
  return { api, status, body, expected, why };
});

test.each(cases)("$api $status $body", ({ api, status, body, expected, why }) => {
  const answer = { status, body: Buffer.from(body), retryAfter: undefined, contentType: undefined };
  const verdict = influxdbVerdict(api, answer, NOW, 3);
  expect(verdict).toMatchObject(expected);
  if (why !== undefined) expect("why" in verdict && verdict.why).toMatch(why);
  if (verdict.is === "retry" && !("alarm" in expected)) expect(verdict.alarm).toBeUndefined();
});

test.each([
  ["7", 7_000],
  [new Date(NOW + 9_000).toUTCString(), 9_000],
  ["never", undefined],
])("Retry-After %s", (retryAfter, afterMs) => {
  for (const status of [429, 503]) {
    const answer = { status, body: Buffer.alloc(0), retryAfter, contentType: undefined };
    const verdict = influxdbVerdict("v3", answer, NOW, 1);
    expect(verdict.is === "retry" && verdict.afterMs).toBe(afterMs);
  }
});

test("a date in Retry-After is by the server's clock, where it tells the time", () => {
  const theirs = NOW + 3_600_000;
  const retryAfter = new Date(theirs + 9_000).toUTCString();
  const answer = { status: 503, body: Buffer.alloc(0), retryAfter, contentType: undefined };
  const pause = (date: string | undefined) => {
    const verdict = influxdbVerdict("v3", { ...answer, date }, NOW, 1);
    return verdict.is === "retry" && verdict.afterMs;
  };
  expect(pause(new Date(theirs).toUTCString())).toBe(9_000);
  expect(pause("some day")).toBe(3_609_000);
  expect(pause(undefined)).toBe(3_609_000);
});

test("a broken connection is tried again", () => {
  expect(influxdbVerdict("v3", { error: "other side closed" }, NOW, 1)).toEqual({
    is: "retry",
    why: "other side closed",
  });
});

const table = (measurement: string): Table => ({
  file: "test",
  measurement,
  doc: "",
  identity: "exact",
  match: { logs: undefined, spans: undefined },
  columns: [],
  required: [],
  extraTags: [],
  extraFields: [],
  extraFieldEnds: [],
  attributes: false,
  resourceAttributes: undefined,
  body: undefined,
  emptyField: undefined,
  service: undefined,
  severity: undefined,
  example: undefined,
});
const TABLES = [table("function_logs"), table("requests")];

async function influx(options: object, ...script: readonly SinkAnswer[]) {
  const sink = await httpSink(...script);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const compiled: { tables: string[]; dialect: string }[] = [];
  const meter = recordingMeter();
  let tell: ((table: string, column: string, reason: string, n: number) => void) | undefined;
  let leaves: readonly number[] = [];
  class TellingWriter extends LineWriter {
    override write(...args: Parameters<LineWriter["write"]>) {
      for (const n of leaves) tell?.("function_logs", "duration_ms", "type", n);
      return super.write(...args);
    }
  }
  const factory = createInfluxdb(TABLES, (given) => {
    compiled.push({ tables: given.tables.map((t) => t.measurement), dialect: given.dialect });
    tell = given.onFieldDropped;
    return new TellingWriter();
  });
  const config = factory.schema.parse({ endpoint: sink.url, database: "weir", ...options });
  const backend = factory.create(config, {
    id: "influxdb/eu",
    route: "influxdb/eu ü/logs",
    signal: "logs",
    log: recordingLog(),
    meter,
    indexer: fakeIndexer,
    nowMs: () => NOW,
    fail: () => {},
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  const sending = {
    journal: "jrnl",
    route: "influxdb/eu ü/logs",
    from: [3, 0],
    to: [5, 41],
    rows: 1,
    attempt: 1,
  } as const;
  const post = (body: Uint8Array = Buffer.from("m f=1 1\n")) =>
    backend.post(body, sending, AbortSignal.timeout(60_000));
  const written = (...leftOut: readonly number[]) => {
    leaves = leftOut;
    const slab = makeSlab(1_000);
    const frame = { seq: 1, batch: fakeBatch(1, "logs"), arrivalMs: 0, note: new Uint8Array(0) };
    backend.writer.write({ first: 1, last: 1, frames: [frame], items: 1 }, 0, 1, slab);
    return slab.bytes.subarray(0, slab.length);
  };
  return { sink, backend, post, written, compiled, meter, said: factory.warning?.(config) };
}

test.each([
  [{}, "/api/v3/write_lp?db=weir&precision=nanosecond&accept_partial=true", undefined],
  [
    { token: "t0p" },
    "/api/v3/write_lp?db=weir&precision=nanosecond&accept_partial=true",
    "Bearer t0p",
  ],
  [
    { no_sync: true },
    "/api/v3/write_lp?db=weir&precision=nanosecond&accept_partial=true&no_sync=true",
    undefined,
  ],
  [
    { api: "v2", org: "a b", database: "x&y", token: "t" },
    "/api/v2/write?bucket=x%26y&precision=ns&org=a%20b",
    "Token t",
  ],
  [
    { api: "v1", retention_policy: "two weeks" },
    "/write?db=weir&precision=ns&rp=two%20weeks",
    undefined,
  ],
  [
    { api: "v1", username: "ü", password: "p" },
    "/write?db=weir&precision=ns",
    `Basic ${Buffer.from("ü:p").toString("base64")}`,
  ],
])("%j posts to %s", async (options, url, authorization) => {
  const { sink, post } = await influx(options, { status: 204 });
  expect(await post()).toEqual({ is: "sent", unconfirmed: false });
  expect(sink.requests[0]).toMatchObject({ method: "POST", url, body: Buffer.from("m f=1 1\n") });
  expect(sink.requests[0]?.headers.authorization).toBe(authorization);
  expect(sink.requests[0]?.headers["x-weir-range"]).toBe("jrnl/influxdb/eu%20%C3%BC/logs/3.0-5.41");
});

/** Blocks as they are written for the Collector's exporter: where they post, as whom, and what is said about them. */
test.each([
  [
    { org: "o", bucket: "b", token: "t" },
    "/api/v2/write?bucket=b&precision=ns&org=o",
    "Token t",
    'options of the Collector\'s influxdb exporter: they stand for api: v2, database: "b"; please write these',
  ],
  [
    { v1_compatibility: { enabled: true, db: "d", username: "u", password: "p" } },
    "/write?db=d&precision=ns",
    `Basic ${Buffer.from("u:p").toString("base64")}`,
    'options of the Collector\'s influxdb exporter: they stand for api: v1, database: "d", username and password; please write these',
  ],
  [
    {
      bucket: "b",
      v1_compatibility: { enabled: false },
      payload_max_lines: 72,
      payload_max_bytes: 27_000,
    },
    "/api/v2/write?bucket=b&precision=ns",
    undefined,
    'options of the Collector\'s influxdb exporter: they stand for api: v2, database: "b", max_items: 72, max_body_size: 27000; please write these',
  ],
  [
    { database: "x", span_dimensions: ["service.name", "span.name"] },
    "/api/v3/write_lp?db=x&precision=nanosecond&accept_partial=true",
    undefined,
    "options of the Collector's influxdb exporter; span_dimensions has no effect, as the series tables say what is a tag and what a field",
  ],
  [
    { bucket: "b", log_record_dimensions: [], metrics_schema: "otel-v1", precision: "ms" },
    "/api/v2/write?bucket=b&precision=ns",
    undefined,
    'options of the Collector\'s influxdb exporter: they stand for api: v2, database: "b"; please write these; log_record_dimensions, metrics_schema, precision have no effect, as the series tables say what is a tag and what a field',
  ],
  [
    { database: "x" },
    "/api/v3/write_lp?db=x&precision=nanosecond&accept_partial=true",
    undefined,
    undefined,
  ],
])("the Collector's %j", async (options, url, authorization, warning) => {
  const { sink, post, backend, said } = await influx(
    { database: undefined, ...options },
    { status: 204 },
  );
  await post();
  expect(sink.requests[0]?.url).toBe(url);
  expect(sink.requests[0]?.headers.authorization).toBe(authorization);
  expect(said).toBe(warning);
  expect(backend.limits.items).toBe("payload_max_lines" in options ? 72 : 65_536);
  expect(backend.limits.bytes).toBe("payload_max_bytes" in options ? 27_000 : 8 << 20);
});

test("headers of the options go with every request; a body is compressed where that is asked for", async () => {
  const headers = { "X-Tenant": "a", Authorization: "Basic x", "Content-Type": "text/html" };
  const { sink, post } = await influx({ headers, compression: "gzip", token: "" }, { status: 204 });
  await post();
  expect(sink.requests[0]?.headers).toMatchObject({
    "x-tenant": "a",
    authorization: "Basic x",
    "content-type": "text/plain; charset=utf-8",
    "content-encoding": "gzip",
  });
  expect(gunzipSync(sink.requests[0]?.body ?? "").toString()).toBe("m f=1 1\n");
});

test("text that is no UTF-8 does not cost its row: U+FFFD stands for it, and quotes stay where they are", async () => {
  const { sink, post } = await influx({}, { status: 204 });
  const line = (...odd: number[]) => Buffer.from([...Buffer.from('m f="'), ...odd, 34, 32, 49, 10]);
  await post(Buffer.concat([line(0xff), line(0xe2, 0x82), line(0xe2, 0x82, 0xac)]));
  expect(sink.requests[0]?.body.toString()).toBe('m f="\ufffd" 1\nm f="\ufffd" 1\nm f="€" 1\n');
});

test.each(["/api/v2/write", "/write/", "/api/v3/write_lp"])(
  "an endpoint that ends in %s is taken without it",
  async (path) => {
    const { sink, post } = await influx({}, { status: 204 });
    const behind = await influx({ endpoint: `${sink.url}${path}` });
    await behind.post();
    await post();
    expect(sink.requests[0]?.url).toBe(sink.requests[1]?.url);
  },
);

test("a path in the endpoint is put before the API's", async () => {
  const { sink, post } = await influx({}, { status: 204 });
  const behind = await influx({ endpoint: `${sink.url}/influx/` });
  await behind.post();
  await post();
  expect(sink.requests[0]?.url).toMatch(/^\/influx\/api\/v3\/write_lp\?/);
});

test("fields that do not fit are counted when the rows are there without them, not for each time they are sent", async () => {
  const script = [{ status: 503 }, { status: 204 }, { status: 413 }, { status: 204 }];
  const { post, written, meter } = await influx({}, ...script);
  const counts = [];
  for (const drops of [[3], [2, 1], [8], [2]]) {
    await post(written(...drops));
    counts.push(meter.value("weir_fields_dropped_total"));
  }
  expect(counts).toEqual([0, 3, 3, 5]);
});

test("compiles the chosen tables for the API's dialect", async () => {
  const { compiled } = await influx({ api: "v1", tables: ["requests"] });
  expect(compiled).toEqual([{ tables: ["requests"], dialect: "v1" }]);
  expect((await influx({})).compiled[0]?.tables).toEqual(["function_logs", "requests"]);
});

test("limits follow the options", async () => {
  const { backend } = await influx({ max_body_size: 4096, sending_queue: { num_consumers: 7 } });
  expect(backend.limits).toMatchObject({ bytes: 4096, lanes: 7 });
});

test.each([
  [{ tables: ["function_log"] }, ["tables", 0], 'did you mean "function_logs"?'],
  [{ tables: ["zzz"] }, ["tables", 0], "valid: function_logs, requests"],
  [{ database: "_x" }, ["database"], "letter or digit first"],
  [{ database: undefined }, ["database"], "expected the name of a database"],
  [
    { database: undefined, v1_compatibility: { enabled: true } },
    ["v1_compatibility"],
    "db is missing",
  ],
  [{ compression: "zstd" }, ["compression"], ""],
  [{ token: "t", auth: { authenticator: "basic_auth" } }, ["token"], "keep one"],
  [{ headers: { "content-length": "1" } }, ["headers", "content-length"], "client itself"],
  [{ token: "a\r\nb" }, ["token"], "line break"],
  [{ endpoint: "http://u:p@127.0.0.1:1" }, ["endpoint"], "not in the URL"],
  [{ endpoint: "http://127.0.0.1:1/write?db=weir" }, ["endpoint"], "database, org"],
  [{ endpoint: "127.0.0.1:8181" }, ["endpoint"], "expected a URL"],
  [{ max_body_size: 10 }, ["max_body_size"], ""],
])("%j is a configuration error", (options, path, message) => {
  const { schema } = createInfluxdb(TABLES, () => {
    throw new Error("not compiled here");
  });
  const given = { endpoint: "http://127.0.0.1:1", database: "weir", ...options };
  const { error } = schema.safeParse(given);
  expect(error?.issues[0]?.path).toEqual(path);
  expect(error?.issues[0]?.message).toContain(message);
  expect(JSON.stringify(error?.issues)).not.toContain("\\r\\n");
});

/** Rows that a sink refuses, as InfluxDB would: by name (v3), or without (v1, where the other rows are stored all the same). */
test.each(["v3", "v1", "v2"] as const)(
  "%s: two bad rows of 300 end as two dead letters",
  async (api) => {
    const { sink, backend } = await influx({ api });
    const bad = new Set(["1.17", "2.99"]);
    sink.answer = ({ body }) => {
      const lines = body.toString().trim().split("\n");
      const named = lines.flatMap((line, i) =>
        bad.has(line) ? [[i + 1, "Invalid type of tag"] as const] : [],
      );
      if (named.length === 0) return { status: 204 };
      if (api === "v3") return { status: 400, body: partial(named) };
      return api === "v1" ? { status: 400, body: V1_TAGS } : { status: 422, body: V2_TAGS };
    };
    const rig = exportRig({ frames: [100, 200], framesPerRange: 2, backend });
    await rig.untilSettled();
    expect(rig.deadLetters.keys()).toEqual([...bad]);
    expect(rig.reader.settled.get(1)).toMatchObject({ delivered: 298, deadLettered: 2 });
    expect(sink.requests.length).toBeLessThan(api === "v3" ? 2 : 42);
    for (const { answer } of rig.deadLetters.letters.values()) expect(answer).toMatch(/tag/);
    expect(sink.requests[0]?.headers["x-weir-range"]).toBe("j1/test/eu/logs/1.0-2.199");
  },
);

test("resets, overloads and hangs lose nothing", async () => {
  const { sink, backend } = await influx({});
  const moods: readonly SinkAnswer[] = [
    { does: "reset" },
    { does: "hang" },
    { status: 503, headers: { "retry-after": "0" } },
    { status: 204 },
    { status: 429 },
  ];
  const stored = new Set<string>();
  sink.answer = ({ body }, index) => {
    const mood = moods[index % moods.length] as SinkAnswer;
    if ("status" in mood && mood.status === 204)
      for (const line of body.toString().trim().split("\n")) stored.add(line);
    return mood;
  };
  const rig = exportRig({ frames: Array.from({ length: 20 }, () => 10), backend, timeoutMs: 300 });
  await rig.untilSettled();
  expect(stored.size).toBe(200);
  expect(rig.deadLetters.letters.size).toBe(0);
  expect(sink.mostOpen).toBeLessThanOrEqual(3);
});
