import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { compressSync } from "snappy";
import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import { encodePush } from "../../series/loki/push-proto.ts";
import { stopAll } from "../../support/http-receiver.ts";
import { encodeRequest } from "../../support/otlp.ts";
import { expectText } from "../../support/otlp-text.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { jsonPush, oneEntry, plainAnswer, pushCases, pushOf } from "./cases.ts";
import { post, start, stored } from "./rig.ts";

afterEach(stopAll);

const ROOT = join(import.meta.dirname, "..", "..", "..");
const NOW_MS = Date.now();
const NOW = BigInt(NOW_MS) * 1_000_000n;
const PROTOBUF = { "content-type": "application/x-protobuf" };
const PATH = "/loki/api/v1/push";

describe("answers as those of Loki 3.7.8", () => {
  const recorded = JSON.parse(
    readFileSync(join(ROOT, "test", "fixtures", "loki", "push-answers.json"), "utf8"),
  ) as Readonly<Record<string, string>>;

  test("each case was recorded", () => {
    expect(pushCases(NOW_MS).map(({ name }) => name)).toEqual(Object.keys(recorded));
  });

  test.each(pushCases(NOW_MS))("$name", async ({ name, path, headers, body }) => {
    const { url } = await start();
    const { status, text } = await post(`${url}${path}`, body, headers);
    expect(plainAnswer(status, text)).toBe(recorded[name]);
  });
});

test("of good and bad entries the good ones are stored, the bad ones counted and said in the log", async () => {
  const { rig, url } = await start();
  const old = String(NOW - 8n * 86_400_000_000_000n);
  const body = jsonPush({ app: "a" }, [old, "old"], [String(NOW), "good"], [old, "old"]);
  const { status, text } = await post(`${url}${PATH}`, body);
  expect(status).toBe(400);
  expect(text).toMatch(/^2 errors like: entry for stream '\{app="a", service_name="a"\}' has/);
  expect(stored(rig).map(({ line }) => line)).toEqual(["good"]);
  expect(rig.lost).toBe(2);
  expect(rig.said.length).toBe(1);
  expect(rig.outcome("partial")).toBe(1);
});

test("what is wrong with entries is counted in words that are the same in the next second and for other streams", async () => {
  const rig = new ReceiverRig("loki");
  let nowMs = NOW_MS;
  Object.assign(rig.context, { nowMs: () => nowMs });
  const { url } = await start({ limits: { max_structured_metadata_entries_count: 1 } }, rig);
  const pairs = { a: "1", b: "2" };
  const entries = (app: string) => [
    jsonPush({ app }, [String(NOW - 8n * 86_400_000_000_000n), "old"]),
    jsonPush({ app }, [String(NOW + 3_600_000_000_000n), "ahead"]),
    jsonPush({ app }, [String(BigInt(nowMs) * 1_000_000n), "x".repeat(300_000 + app.length)]),
    jsonPush({ app }, [String(NOW), app, { a: "x".repeat(70_000 + app.length) }]),
    jsonPush({ app }, [String(NOW), app, pairs]),
    jsonPush({ app: app.repeat(2_000) }, [String(NOW), "x"]),
  ];
  const texts: string[] = [];
  for (const app of ["shop", "a-till"]) {
    for (const body of entries(app)) texts.push((await post(`${url}${PATH}`, body)).text);
    nowMs += 7_000;
  }
  // The client gets Loki's own words, with the stream and the second.
  const oldest = new Date(nowMs - 7_000 - 168 * 3_600_000).toISOString().slice(0, 19);
  expect(texts[6]).toMatch(/^entry for stream '\{app="a-till", .* has timestamp too old: /);
  expect(texts[6]).toContain(`oldest acceptable timestamp is: ${oldest}Z`);
  expect(new Set(texts).size).toBe(12);
  const whys = rig.rejected.map(({ why }) => why);
  expect(whys.slice(6)).toEqual(whys.slice(0, 6));
  expect(new Set(whys).size).toBe(6);
  expect(whys[0]).toBe("an entry is older than limits.reject_old_samples_max_age");
  nowMs += 60_000;
  await post(`${url}${PATH}`, entries("shop")[0] ?? "");
  const [first, later] = rig.said.map((line) => JSON.parse(line.slice(line.indexOf("{"))));
  expect(first).toMatchObject({ records: { [whys[0] ?? ""]: 1 } });
  expect(first.example).toContain('{app="shop"');
  expect(Object.entries(later.records)).toEqual(
    expect.arrayContaining(whys.slice(0, 6).map((why) => [why, 2])),
  );
  expect(rig.said).toHaveLength(2);
});

test("lines, metadata and labels in bytes that are no UTF-8 are UTF-8 when they leave, counted by record", async () => {
  const { rig, url } = await start();
  const push = (app: string, line: string, value: string) => {
    const made = Buffer.from(
      encodePush([
        { labels: `{app="${app}"}`, entries: [{ nanos: NOW, line, metadata: [["m", value]] }] },
      ]),
    );
    // One byte that is ASCII becomes one that begins a character.
    for (let at = made.indexOf("#"); at >= 0; at = made.indexOf("#")) made[at] = 0xe9;
    return post(`${url}${PATH}`, compressSync(made), PROTOBUF);
  };
  expect((await push("shop", "gr#n", "v")).status).toBe(204);
  expect((await push("shop", "line", "v#")).status).toBe(204);
  expect((await push("sh\\xe9p", "line", "v")).status).toBe(204);
  expect((await push("shop", "line", "v")).status).toBe(204);
  const body = jsonPush({ app: "a", b: "#" }, [String(NOW), "#"], [String(NOW), "x"]);
  const latin = Buffer.from(body.replaceAll("#", "\xe9"), "latin1");
  expect((await post(`${url}${PATH}`, latin)).status).toBe(204);
  for (const { bytes, length } of rig.batches) expectText("logs", bytes.subarray(0, length));
  expect(
    stored(rig).map(({ line, resource, attributes }) => [
      line,
      resource["service.name"],
      Object.values(attributes),
    ]),
  ).toEqual([
    ["gr\ufffdn", "shop", ["shop", "v"]],
    ["line", "shop", ["shop", "v\ufffd"]],
    ["line", "sh\ufffdp", ["sh\ufffdp", "v"]],
    ["line", "shop", ["shop", "v"]],
    ["\ufffd", "a", ["a", "\ufffd"]],
    ["x", "a", ["a", "\ufffd"]],
  ]);
  expect(rig.counts.get("weir_records_replaced_texts_total loki http")).toBe(5);
});

test("a request that is refused as a whole leaves nothing for the next one", async () => {
  const { rig, url } = await start();
  const bad = `{"streams":[{"stream":{"a":"b"},"values":[["${NOW}","first"],[5,"x"]]}]}`;
  expect((await post(`${url}${PATH}`, bad)).status).toBe(400);
  const broken = pushOf(
    { labels: '{a="b"}', entries: [{ nanos: NOW, line: "second", metadata: [] }] },
    { labels: "{a", entries: [] },
  );
  expect((await post(`${url}${PATH}`, broken, PROTOBUF)).status).toBe(400);
  expect((await post(`${url}${PATH}`, oneEntry('{a="b"}', NOW, "third"), PROTOBUF)).status).toBe(
    204,
  );
  expect(stored(rig).map(({ line }) => line)).toEqual(["third"]);
});

test("both shapes of JSON are taken on every path", async () => {
  const { rig, url } = await start();
  const ts = new Date(NOW_MS).toISOString();
  const old = JSON.stringify({ streams: [{ labels: '{a="b"}', entries: [{ ts, line: "old" }] }] });
  for (const path of [PATH, "/api/prom/push", "/api/v1/push"])
    for (const body of [old, jsonPush({ a: "b" }, [String(NOW), "new"])])
      expect((await post(`${url}${path}`, body)).status).toBe(204);
  expect(stored(rig).map(({ line, time }) => [line, time])).toEqual(
    [1, 2, 3].flatMap(() => [
      ["old", String(NOW)],
      ["new", String(NOW)],
    ]),
  );
});

test("labels and metadata become attributes, service_name the service; level and trace_id what they are", async () => {
  const { rig, url } = await start({ tenant_attribute: "loki.tenant" });
  const metadata = { trace_id: "0af7651916cd43dd8448eb211c80319c", user: "ü", time: "12:00" };
  const stream = { service_name: "shop", level: "warn", source: "Lambda", job: "x" };
  const body = jsonPush(stream, [String(NOW), '{"message":"whole"}\n', metadata]);
  const headers = { "content-type": "application/json", "x-scope-orgid": "team-a" };
  expect((await post(`${url}${PATH}`, body, headers)).status).toBe(204);
  expect(stored(rig)).toEqual([
    {
      line: '{"message":"whole"}\n',
      time: String(NOW),
      resource: { "service.name": "shop", "loki.tenant": "team-a" },
      attributes: { source: "Lambda", job: "x", user: "ü", time: "12:00" },
      severity: "warn",
      traceId: metadata.trace_id,
    },
  ]);
});

test("the Lambda extension of the source document: labels and lines byte by byte", async () => {
  const seeds = join(ROOT, "test", "fixtures", "seeds", "loki");
  const sent = JSON.parse(readFileSync(join(seeds, "api-prom-push.json"), "utf8")) as {
    streams: { entries: { line: string }[] }[];
  };
  const lines = sent.streams.flatMap(({ entries }) => entries.map(({ line }) => line));
  const limits = { reject_old_samples: false };
  const { rig, url } = await start({ limits });
  const snappy = readFileSync(join(seeds, "api-prom-push.protobuf.snappy"));
  expect((await post(`${url}/api/prom/push`, snappy, PROTOBUF)).status).toBe(204);
  expect(stored(rig).map(({ line }) => line)).toEqual(lines);
  expect(stored(rig)[0]?.attributes).toEqual({
    source: "Lambda",
    function: "telemetry-api-starter-py",
  });
  const parsing = await start({ parse: "promtail_client", limits });
  expect((await post(`${parsing.url}/api/prom/push`, snappy, PROTOBUF)).status).toBe(204);
  expect(stored(parsing.rig).map(({ line, time }) => [line, time])).toEqual([
    ["{'ConsumedCapacity': {'TableName': 'items', 'CapacityUnits': 1.0}}\n", "1676210538123456789"],
    ["Successfully added item\n", "1676210538123999000"],
  ]);
});

test("what Fluent Bit sends", async () => {
  const captures = join(ROOT, "test", "fixtures", "fluent-bit-captures");
  const capture = join(captures, "http-04_loki_api_v1_push.body");
  const { rig, url } = await start({
    limits: { reject_old_samples: false, creation_grace_period: "0s" },
  });
  const body = readFileSync(capture);
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  expect((await post(`${url}${PATH}`, body, headers)).status).toBe(204);
  const { streams } = JSON.parse(gunzipSync(body).toString()) as {
    streams: { values: [string, string][] }[];
  };
  const sent = streams.flatMap(({ values }) => values);
  expect(stored(rig).map(({ time, line }) => [time, line])).toEqual(
    sent.map(([time, line]) => [time, line]),
  );
});

describe("tenants", () => {
  test.each([
    [{}, 401, "no org id\n"],
    [{ "x-scope-orgid": "a|b" }, 400, "multiple org IDs present\n"],
    [{ "x-scope-orgid": "a b" }, 400, "tenant ID 'a b' contains unsupported character ' '\n"],
    [{ "x-scope-orgid": "a/b" }, 400, "tenant ID 'a/b' contains unsupported character '/'\n"],
    [{ "x-scope-orgid": ".." }, 400, "tenant ID is '.' or '..'\n"],
    [{ "x-scope-orgid": "a".repeat(151) }, 400, "tenant ID is too long: max 150 characters\n"],
    [{ "x-scope-orgid": "a".repeat(150) }, 204, ""],
  ])("auth_enabled, %o: %i", async (headers, status, text) => {
    const { url } = await start({ auth_enabled: true });
    const body = jsonPush({ app: "a" }, [String(NOW), "x"]);
    const given = { "content-type": "application/json", ...headers };
    expect(await post(`${url}${PATH}`, body, given)).toMatchObject({ status, text });
  });
});

describe("OTLP", () => {
  const request = {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ timeUnixNano: String(NOW), body: { stringValue: "x" } }] }] },
    ],
  };
  const json = Buffer.from(JSON.stringify(request));
  test.each([
    ["JSON", json, { "content-type": "application/json" }, 204, ""],
    ["protobuf", encodeRequest("logs", request), PROTOBUF, 204, ""],
    [
      "gzip",
      gzipSync(json),
      { "content-type": "application/json", "content-encoding": "gzip" },
      204,
      "",
    ],
    [
      "a charset",
      json,
      { "content-type": "application/json; charset=utf-8" },
      400,
      "content type: application/json; charset=utf-8 is not supported",
    ],
    [
      "text",
      json,
      { "content-type": "text/plain" },
      400,
      "content type: text/plain is not supported",
    ],
    [
      "br",
      json,
      { "content-type": "application/json", "content-encoding": "br" },
      400,
      "unsupported content encoding br: only gzip, lz4 and zstd are supported",
    ],
    [
      "nothing",
      Buffer.alloc(0),
      PROTOBUF,
      422,
      "error at least one valid stream is required for ingestion",
    ],
  ])("%s", async (_name, body, headers, status, why) => {
    const { url, rig } = await start();
    const answer = await post(`${url}/otlp/v1/logs`, body, headers);
    expect([answer.status, answer.text.slice(2)]).toEqual([status, why]);
    if (status !== 204) expect(answer.headers.get("content-type")).toBe("application/octet-stream");
    expect(rig.items).toBe(status === 204 ? 1 : 0);
  });
});

test("what is full says so before it reads, and senders come again", async () => {
  const rig = new ReceiverRig("loki");
  rig.refusals.push({ kind: "refused", retryAfterMs: 2_000, why: "the queue is full" });
  const { url } = await start({}, rig);
  const answer = await post(`${url}${PATH}`, oneEntry('{a="b"}', NOW), PROTOBUF);
  expect(answer).toMatchObject({ status: 503, text: "the queue is full\n" });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(1);
  rig.submitting = () =>
    Promise.reject(
      new PipelineError({ kind: "unavailable", retryAfterMs: 1_000, why: "stopping" }),
    );
  expect((await post(`${url}${PATH}`, oneEntry('{a="b"}', NOW), PROTOBUF)).status).toBe(503);
  expect(rig.items).toBe(0);
});

describe("queries", () => {
  test("without query_upstream the option is named; what is no path of Loki is not found", async () => {
    const { url } = await start();
    for (const path of ["query", "query_range", "labels", "label/app/values", "series", "tail"]) {
      const answer = await fetch(`${url}/loki/api/v1/${path}`);
      expect(answer.status).toBe(501);
      expect(await answer.text()).toContain("receivers.loki.query_upstream");
    }
    expect((await fetch(`${url}/nope`)).status).toBe(404);
    expect((await fetch(`${url}${PATH}`)).status).toBe(405);
    expect(await (await fetch(`${url}/ready`)).text()).toBe("ready\n");
    const info = await fetch(`${url}/loki/api/v1/status/buildinfo`);
    expect(await info.json()).toMatchObject({ version: "3.7.8" });
  });

  test("with it they are handed on, and its answer comes back", async () => {
    const { createServer } = await import("node:http");
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers["x-scope-orgid"]}`);
      response.setHeader("content-type", "application/json");
      response.end('{"status":"success"}');
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    try {
      const { url } = await start({ query_upstream: `http://127.0.0.1:${port}` });
      const path = "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D";
      const answer = await fetch(`${url}${path}`, { headers: { "x-scope-orgid": "team" } });
      expect(await answer.json()).toEqual({ status: "success" });
      expect(seen).toEqual([`GET ${path} team`]);
    } finally {
      server.close();
    }
  });
});
