import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { mixedLogs } from "../../bench/payloads.ts";
import { addressOf, config as schema } from "../../src/exporters/loki/config.ts";
import { createLoki } from "../../src/exporters/loki/index.ts";
import { pushJson } from "../../src/exporters/loki/push-json.ts";
import { lokiVerdict, VERDICTS } from "../../src/exporters/loki/verdicts.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { writeRequestJson } from "../../src/otlp/write-json.ts";
import { decodePush } from "../series/loki/push-proto.ts";
import { attributes, logsOf, NOW_MS, pushes, tables } from "../series/loki/writing.ts";
import { recordingLog, recordingMeter, sending } from "../support/export-rig.ts";
import { httpSink, type SinkAnswer } from "../support/http-sink.ts";
import { batchOf, indexer, rangeOf } from "../support/line-writing.ts";
import { decodeRequest } from "../support/otlp.ts";
import { unsnap } from "../support/unsnap.ts";

const factory = createLoki(tables, pickItems, writeRequestJson);

async function loki(options: object, ...script: readonly SinkAnswer[]) {
  const sink = await httpSink(...script);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const log = recordingLog();
  const meter = recordingMeter();
  const config = factory.schema.parse({ endpoint: sink.url, ...options });
  const backend = factory.create<"logs">(config, {
    id: "loki",
    route: "loki/logs",
    signal: "logs",
    log,
    meter,
    indexer,
    nowMs: () => NOW_MS,
    fail: () => {},
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  const slab = makeSlab(1 << 20);
  const write = (...requests: readonly Uint8Array[]) => {
    const range = rangeOf(requests.map(batchOf), NOW_MS);
    return backend.writer.write(range, 0, range.items, slab);
  };
  const post = () =>
    backend.post(slab.bytes.subarray(0, slab.length), sending, AbortSignal.timeout(60_000));
  return { sink, log, meter, write, post };
}

const request = logsOf(
  [
    {
      timeUnixNano: `${NOW_MS}000001`,
      severityNumber: 9,
      body: { stringValue: 'said "hello"\n' },
      traceId: "0af7651916cd43dd8448eb211c80319c",
      attributes: attributes({ "http.route": "/ü", source: 'a"}=b' }),
    },
  ],
  { attributes: attributes({ "service.name": "shop" }) },
);

test("protobuf in a snappy block, to the push API, with tenant and headers", async () => {
  const { sink, write, post } = await loki(
    { tenant_id: "team-a", headers: { "x-scope-orgid": "other", "x-a": "b" } },
    { status: 204 },
  );
  expect(write(request)).toMatchObject({ to: 1, rows: 1 });
  expect(await post()).toEqual({ is: "sent", unconfirmed: false });
  const [sent] = sink.requests;
  expect(sent).toMatchObject({ method: "POST", url: "/loki/api/v1/push" });
  expect(sent?.headers).toMatchObject({
    "content-type": "application/x-protobuf",
    "x-scope-orgid": "team-a",
    "x-a": "b",
    "x-weir-range": "j/r/1.0-1.0",
  });
  expect(sent?.headers["content-encoding"]).toBeUndefined();
  expect(decodePush(unsnap(sent?.body as Buffer))).toEqual(
    decodePush(pushes([request]).bodies[0] as Buffer),
  );
});

test.each(["none", "gzip"])("JSON, compression: %s", async (compression) => {
  const { sink, write, post } = await loki({ encoding: "json", compression }, { status: 204 });
  write(request);
  await post();
  const [sent] = sink.requests;
  expect(sent?.headers["content-type"]).toBe("application/json");
  const body = compression === "gzip" ? gunzipSync(sent?.body as Buffer) : sent?.body;
  expect(JSON.parse(String(body))).toEqual({
    streams: [
      {
        stream: { level: "info", service_name: "shop", source: 'a"}=b' },
        values: [
          [
            `${NOW_MS}000001`,
            'said "hello"\n',
            { trace_id: "0af7651916cd43dd8448eb211c80319c", http_route: "/ü" },
          ],
        ],
      },
    ],
  });
});

test("text in a label cannot become structure in JSON", () => {
  const awkward = ["x foo=", '}"', ',a="b"', "\\", '"},"values":[', "{a=", "\u2028"];
  for (const source of awkward)
    for (const zone of awkward) {
      const request = logsOf([{ attributes: attributes({ source, zone }) }]);
      const [body] = pushes([request], { labels: ["zone"] }).bodies;
      const { streams } = JSON.parse(pushJson(body as Buffer).toString()) as {
        streams: { stream: object }[];
      };
      const stream = { level: "unknown", service_name: "unknown_service", source, zone };
      expect(streams.map((one) => one.stream)).toEqual([stream]);
    }
});

test("JSON says what protobuf says", () => {
  for (const body of pushes([mixedLogs(100, 5)]).bodies) {
    const { streams } = JSON.parse(pushJson(body).toString()) as {
      streams: { stream: object; values: [string, string, object?][] }[];
    };
    const read = streams.map(({ values }) =>
      values.map(([nanos, line, metadata = {}]) => [BigInt(nanos), line, Object.entries(metadata)]),
    );
    const expected = decodePush(body).map(({ entries }) =>
      entries.map(({ nanos, line, metadata }) => [nanos, line, metadata]),
    );
    expect(read).toEqual(expected);
  }
});

test.each(["proto", "json"])(
  "api: otlp as %s: the records as they came, without weir.*",
  async (encoding) => {
    const shaped = logsOf([
      {
        body: { stringValue: "b" },
        attributes: attributes({ t: "x", "weir.tags": { arrayValue: { values: [] } } }),
      },
    ]);
    const { sink, write, post } = await loki(
      { api: "otlp", encoding, compression: "gzip" },
      { status: 204 },
    );
    expect(write(shaped, request)).toMatchObject({ to: 2, rows: 2 });
    expect(await post()).toEqual({ is: "sent", unconfirmed: false });
    const [sent] = sink.requests;
    expect(sent?.url).toBe("/otlp/v1/logs");
    expect(sent?.headers).toMatchObject({
      "content-type": encoding === "json" ? "application/json" : "application/x-protobuf",
      "content-encoding": "gzip",
    });
    const body = gunzipSync(sent?.body as Buffer);
    const text = encoding === "json" ? String(body) : JSON.stringify(decodeRequest("logs", body));
    expect(text).toContain('"key":"t"');
    expect(text).toContain("http.route");
    expect(text).not.toContain("weir.");
  },
);

test("api: otlp keeps to the same limits: ages, lengths of lines, structured metadata", async () => {
  const { meter, write, post, sink } = await loki(
    { api: "otlp", max_line_size: 256, max_metadata_entries: 16, max_age: "1h" },
    { status: 204 },
  );
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, "v"]));
  const resource = { attributes: attributes({ "service.name": "shop", "host.name": "h" }) };
  const records = [
    { timeUnixNano: `${NOW_MS - 3_600_001}000000`, body: { stringValue: "old" } },
    { timeUnixNano: `${NOW_MS + 700_000}000000`, body: { stringValue: "new" } },
    { timeUnixNano: `${NOW_MS}000000`, body: { stringValue: "é".repeat(200) } },
    { timeUnixNano: `${NOW_MS}000000`, attributes: attributes(many) },
  ];
  expect(write(logsOf(records, resource))).toEqual({
    to: 4,
    rows: 2,
    dropped: new Map([
      ["too_old", 1],
      ["too_new", 1],
    ]),
  });
  await post();
  const request = decodeRequest("logs", sink.requests[0]?.body as Buffer) as {
    resourceLogs: { scopeLogs: { logRecords: { body?: object; attributes?: unknown[] }[] }[] }[];
  };
  const sent = request.resourceLogs.flatMap((one) =>
    one.scopeLogs.flatMap((two) => two.logRecords),
  );
  expect(sent.map(({ body }) => body)).toEqual([
    { stringValue: "é".repeat(128) },
    { stringValue: "é".repeat(72) },
    undefined,
  ]);
  expect(sent[0]?.attributes).toEqual(attributes({ line_part: "1/2" }));
  expect(sent[1]?.attributes).toEqual(attributes({ line_part: "2/2" }));
  // 16 entries, less 10 that Loki makes of fields and 2 of the resource
  expect(sent[2]?.attributes).toEqual(attributes({ k0: "v", k1: "v", k2: "v", k3: "v" }));
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(5);
});

test("api: otlp counts each member of a map, as Loki makes one name of each", async () => {
  const { meter, write, post } = await loki({
    api: "otlp",
    max_metadata_entries: 14,
    max_metadata_size: 1_024,
  });
  const values = attributes({ a: "1", b: "2", c: "3", d: "4" });
  const record = (more: object) => ({ timeUnixNano: `${NOW_MS}000000`, ...more });
  const map = { key: "map", value: { kvlistValue: { values } } };
  expect(write(logsOf([record({ attributes: [map] })])).rows).toBe(1);
  await post();
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(0);
  write(logsOf([record({ attributes: [...attributes({ x: "1" }), map] })]));
  await post();
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(1);
  write(logsOf([record({ attributes: attributes({ x: "1", large: "v".repeat(600), y: "2" }) })]));
  await post();
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(2);
});

test("counts what it drops, leaves out and splits, the latter once Loki has it", async () => {
  const options = { max_line_size: 256, max_metadata_entries: 8, max_age: "1h" };
  const { meter, write, post } = await loki(options, { status: 503 }, { status: 204 });
  const many = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, "v"]));
  const { dropped, rows } = write(
    logsOf([
      { timeUnixNano: `${NOW_MS - 3_600_001}000000` },
      { attributes: attributes(many) },
      { body: { stringValue: "x".repeat(300) } },
    ]),
  );
  expect([...dropped]).toEqual([["too_old", 1]]);
  expect(rows).toBe(3);
  await post();
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(0);
  await post();
  expect(meter.value("weir_exporter_left_out_attributes_total")).toBe(2);
  expect(meter.value("weir_exporter_split_lines_total")).toBe(1);
});

test("a 400 is unconfirmed, said once in a while, with Loki's text", async () => {
  const { log, write, post } = await loki({}, { status: 400, body: "entry too far behind\n" });
  write(request);
  expect(await post()).toEqual({ is: "sent", unconfirmed: true });
  expect(await post()).toEqual({ is: "sent", unconfirmed: true });
  expect(log.lines.map(({ level, fields }) => [level, fields["message"]])).toEqual([
    ["warn", "entry too far behind"],
  ]);
});

/** Answers that Loki 3.4.6 gave (fixtures), and those its documentation and source name. */
const RATE =
  "Ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '36' lines totaling '7200000' bytes";
const unconfirmed = { is: "sent", unconfirmed: true };
const alarm = { is: "retry", alarm: true };
test.each([
  [204, "", { is: "sent", unconfirmed: false }],
  [200, "", { is: "sent", unconfirmed: false }],
  [260, "ingestion blocked", { is: "pause" }],
  [301, "", alarm],
  [400, "entry for stream '{a=\"b\"}' has timestamp too old: 2026-11-13T06:12:16Z", unconfirmed],
  [400, "entry for stream '{a=\"b\"}' has timestamp too new: 2026-11-21T06:23:16Z", unconfirmed],
  [400, "entry with timestamp 2026-11-21 ignored, reason: 'entry too far behind'", unconfirmed],
  [400, "Max entry size '262144' bytes exceeded for stream '{}'", unconfirmed],
  [400, "stream '{}' has structured metadata too large: '65537' bytes", unconfirmed],
  [400, "stream '{}' has too many structured metadata labels: '129', limit: '128'", unconfirmed],
  [400, "entry for stream '{}' has 16 label names; limit 15", unconfirmed],
  [400, "couldn't parse labels: 1:9: parse error: unexpected character", unconfirmed],
  [400, "snappy: corrupt input", alarm],
  [400, 'Content-Encoding "br" not supported', alarm],
  [400, 'loghttp.PushRequest.readFieldHash: expect ", but found b', alarm],
  [401, "no org id", { is: "pause" }],
  [403, "", { is: "pause" }],
  [404, "404 page not found", alarm],
  [405, "", alarm],
  [407, "", alarm],
  [408, "", { is: "retry", afterMs: 3_000 }],
  [413, "request body too large", { is: "split" }],
  [415, "", alarm],
  [422, "error at least one valid stream is required for ingestion", { is: "rejected" }],
  [429, RATE, { is: "retry", afterMs: 3_000 }],
  [429, "Per stream rate limit exceeded (limit: 3MB/sec)", { is: "retry", afterMs: 3_000 }],
  [429, "maximum active stream limit exceeded", { is: "retry", afterMs: 3_000 }],
  [
    500,
    "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (1 vs. 2)",
    { is: "split" },
  ],
  [500, 'normalization for label name "_" resulted in invalid name "_"', { is: "rejected" }],
  [500, "", { is: "retry", afterMs: 3_000 }],
  [503, "", { is: "retry", afterMs: 3_000 }],
  [504, "", { is: "retry", afterMs: 3_000 }],
  [599, "", { is: "retry" }],
  [999, "", alarm],
])("HTTP %i %s", (status, body, expected) => {
  const answer = {
    status,
    body: Buffer.from(`${body}\n`),
    retryAfter: "3",
    contentType: undefined,
  };
  expect(lokiVerdict(answer, NOW_MS, () => {})).toMatchObject(expected);
});

test("every row of the verdict table decides some answer", () => {
  const used = new Set<number>();
  const bodies = [
    "",
    "snappy: corrupt input",
    "Ingestion rate limit exceeded",
    "received message larger than max",
    "normalization for label name",
  ];
  for (let status = 200; status < 600; status++)
    for (const body of bodies)
      used.add(
        VERDICTS.findIndex((rule) => {
          const [from, to] = [rule.status].flat();
          return (
            status >= (from as number) &&
            status <= ((to ?? from) as number) &&
            (rule.body?.test(body) ?? true)
          );
        }),
      );
  expect([...used].filter((i) => i >= 0).length).toBe(VERDICTS.length);
});

test("errors of the OTLP path are read, and no answer is tried again", () => {
  const body = Buffer.from("\x12\x05error", "latin1");
  const answer = {
    status: 503,
    body,
    retryAfter: undefined,
    contentType: "application/octet-stream",
  };
  expect(lokiVerdict(answer, NOW_MS, () => {})).toEqual({ is: "retry", why: "HTTP 503: error" });
  expect(lokiVerdict({ error: "refused" }, NOW_MS, () => {})).toEqual({
    is: "retry",
    why: "refused",
  });
});

test.each([
  ["http://h:3100", {}, "/loki/api/v1/push"],
  ["http://h:3100/", {}, "/loki/api/v1/push"],
  ["http://h:3100/base/", {}, "/base/loki/api/v1/push"],
  ["http://h:3100/loki/api/v1/push", {}, "/loki/api/v1/push"],
  ["http://h:3100/api/prom/push", {}, "/loki/api/v1/push"],
  ["http://h:3100/x/loki/api/v1/push", { api: "otlp" }, "/x/otlp/v1/logs"],
])("endpoint %s %j: %s", (endpoint, options, path) => {
  expect(addressOf(schema.parse({ endpoint, ...options })).pathname).toBe(path);
});

test("a configuration of the Collector's old exporter is taken, with one warning", () => {
  const old = {
    endpoint: "http://loki:3100/loki/api/v1/push",
    default_labels_enabled: { exporter: false, job: true },
    headers: { "X-Scope-OrgID": "t" },
    tls: { insecure: true },
    retry_on_failure: { enabled: true, initial_interval: "10s" },
    sending_queue: { enabled: true, num_consumers: 2, queue_size: 10 },
  };
  expect(factory.warning?.(factory.schema.parse(old))).toMatch(/^this is a configuration of/);
  const own = factory.schema.parse({ endpoint: "http://loki:3100" });
  expect(factory.warning?.(own)).toBeUndefined();
});

const few = Array.from({ length: 12 }, (_, i) => `label${i}`);
test.each([
  [{ labels: ["trace_id"] }, "is an id"],
  [{ labels: ["executionId"] }, "is an id"],
  [{ labels: ["k8s.pod.uid"] }, "is an id"],
  [{ labels: ["source"] }, "is a label already: source"],
  [{ labels: ["faas.name"] }, "is a label already: function"],
  [{ labels: ["a.b", "a_b"] }, "there is a label a_b already"],
  [{ labels: ["message"] }, "cannot be a label"],
  [{ labels: few }, "too many labels"],
  [{ compression: "gzip" }, "always compressed with snappy"],
  [{ encoding: "json", max_body_size: 8 << 20 }, "at most 4194304"],
  [{ max_body_size: 32 << 20 }, "16777216"],
  [{ tenant_id: "a|b" }, "one tenant"],
  [{ endpoint: "http://u:p@h:3100" }, "credentials"],
  [{ headers: { "x a": "b" } }, "not a header name"],
  [{ max_line_size: 1 }, "256"],
])("%j is a configuration error", (options, message) => {
  const { error } = schema.safeParse({ endpoint: "http://h:3100", ...options });
  expect(error?.issues[0]?.message).toContain(message);
});

test("labels with few values are taken, up to Loki's limit", () => {
  const labels = few.slice(1);
  expect(schema.safeParse({ endpoint: "http://h:3100", labels }).success).toBe(true);
  const cloud = ["cloud.account.id", "cloud.region"];
  expect(schema.safeParse({ endpoint: "http://h:3100", labels: cloud }).success).toBe(true);
});

test("only log records", () => {
  expect(Object.keys(factory.stability)).toEqual(["logs"]);
});
