import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { startInfluxdb } from "../../support/influxdb-receiver.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const GOOD = "m,t=a v=1i 1705314600000000000";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(options: object = {}) {
  const rig = new ReceiverRig("influxdb");
  const { url, stop } = await startInfluxdb(rig, options);
  stops.push(async () => {
    await stop();
    expect(rig.budget.used, "every lease is given back").toBe(0);
  });
  return { rig, url };
}

interface Row {
  readonly what: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly options?: object;
  /** Status, body (JSON is compared as a value), and some headers. */
  readonly status: number;
  readonly answer: unknown;
  readonly has?: Record<string, string | null>;
  /** Lines that were stored, and lines that were not. */
  readonly lines?: readonly [number, number];
}

const V1 = "/write?db=d";
const V2 = "/api/v2/write?org=o&bucket=b";
const V3 = "/api/v3/write_lp?db=d";
const LIMITED = { max_request_body_size: 100 };
const LONG = `${GOOD}\n`.repeat(5);
const KNOWN = { databases: { d: null } };
const TOKENS = { tokens: ["secret", "other"] };
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString("base64")}`;

/** influx.md §1 and §3, row by row. */
const ROWS: readonly Row[] = [
  { what: "v1 good", path: V1, body: GOOD, status: 204, answer: "", lines: [1, 0] },
  { what: "v2 good", path: V2, body: GOOD, status: 204, answer: "", lines: [1, 0] },
  { what: "v3 good", path: V3, body: GOOD, status: 204, answer: "", lines: [1, 0] },
  { what: "v1 empty", path: V1, body: "", status: 204, answer: "", lines: [0, 0] },
  { what: "v2 only a comment", path: V2, body: "# x\n\n", status: 204, answer: "", lines: [0, 0] },
  {
    what: "v1 partial",
    path: V1,
    body: `${GOOD}\nbad line here x\n# c\n${GOOD}\nm v=`,
    status: 400,
    answer: {
      error:
        "partial write: unable to parse 'bad line here x': missing field key\nunable to parse 'm v=': invalid field format dropped=0",
    },
    has: {
      "content-type": "application/json",
      "x-influxdb-error":
        "partial write: unable to parse 'bad line here x': missing field key?unable to parse 'm v=': invalid field format dropped=0",
    },
    lines: [2, 2],
  },
  {
    what: "v1 all bad",
    path: V1,
    body: "bad",
    status: 400,
    answer: { error: "unable to parse 'bad': missing fields" },
    lines: [0, 1],
  },
  {
    what: "v2 one bad line refuses the request",
    path: V2,
    body: `${GOOD}\n\nbad\nm v=\n${GOOD}`,
    status: 400,
    answer: {
      code: "invalid",
      message: expect.stringMatching(
        /^line protocol parse failed: line 2, byte 4: .* \(and 1 more bad lines\)$/,
      ),
    },
    has: { "content-type": "application/json", "x-platform-error-code": "invalid" },
    lines: [0, 4],
  },
  {
    what: "v3 partial",
    path: V3,
    body: `${GOOD}\n# c\n\nthis is a rather long bad line\n${GOOD}\nm v=`,
    status: 400,
    answer: {
      error: "partial write of line protocol occurred",
      data: [
        {
          error_message: expect.stringContaining("byte 8: expected"),
          line_number: 2,
          original_line: "this is a rather lon",
        },
        {
          error_message: expect.stringContaining("expected a field value"),
          line_number: 4,
          original_line: "m v=",
        },
      ],
    },
    has: { "content-type": null },
    lines: [2, 2],
  },
  {
    what: "v3 all or nothing",
    path: `${V3}&accept_partial=false`,
    body: `${GOOD}\nbad`,
    status: 400,
    answer: {
      error: "line protocol parsing error",
      data: {
        error_message: expect.stringContaining("byte 4"),
        line_number: 2,
        original_line: "bad",
      },
    },
    lines: [0, 2],
  },
  {
    what: "v3 original_line ends at a whole character",
    path: V3,
    body: `${"ж".repeat(9)}x${"ж".repeat(9)}`,
    status: 400,
    answer: {
      error: "partial write of line protocol occurred",
      data: [expect.objectContaining({ original_line: `${"ж".repeat(9)}x` })],
    },
    lines: [0, 1],
  },
  { what: "v3 no_sync", path: `${V3}&no_sync=true`, body: GOOD, status: 204, answer: "" },
  {
    what: "v1 without db",
    path: "/write",
    body: GOOD,
    status: 400,
    answer: { error: "database is required" },
  },
  {
    what: "v2 without bucket",
    path: "/api/v2/write?org=o",
    body: GOOD,
    status: 400,
    answer: { code: "invalid", message: "bucket is required" },
  },
  {
    what: "v3 without db",
    path: "/api/v3/write_lp",
    body: GOOD,
    status: 400,
    answer: "missing query parameter 'db'",
    has: { "content-type": null },
  },
  {
    what: "v3 bad name",
    path: "/api/v3/write_lp?db=_x",
    body: GOOD,
    status: 400,
    answer: { error: "db name did not start with a number or letter" },
  },
  {
    what: "v1 precision",
    path: `${V1}&precision=x`,
    body: GOOD,
    status: 400,
    answer: { error: 'invalid precision "x" (use n, u, ms, s, m or h)' },
  },
  {
    what: "v2 precision",
    path: `${V2}&precision=m`,
    body: GOOD,
    status: 400,
    answer: {
      code: "invalid",
      message: "invalid precision; valid precision units are ns, us, ms, and s",
    },
  },
  { what: "v2 empty precision", path: `${V2}&precision=`, body: GOOD, status: 204, answer: "" },
  {
    what: "v3 precision",
    path: `${V3}&precision=Second`,
    body: GOOD,
    status: 400,
    answer: expect.stringContaining("invalid precision 'Second'"),
  },
  {
    what: "v3 flag",
    path: `${V3}&accept_partial=yes`,
    body: GOOD,
    status: 400,
    answer: "invalid accept_partial 'yes': expected true or false",
  },
  {
    what: "v1 unknown database",
    path: "/write?db=x",
    options: KNOWN,
    body: GOOD,
    status: 404,
    answer: { error: 'database not found: "x"' },
  },
  {
    what: "v2 unknown bucket",
    path: "/api/v2/write?bucket=x",
    options: KNOWN,
    body: GOOD,
    status: 404,
    answer: { code: "not found", message: 'database not found: "x"' },
  },
  {
    what: "v3 unknown database",
    path: "/api/v3/write_lp?db=x",
    options: KNOWN,
    body: GOOD,
    status: 404,
    answer: { error: 'database not found: "x"' },
  },
  { what: "v3 known database", path: V3, options: KNOWN, body: GOOD, status: 204, answer: "" },
  {
    what: "v1 too large",
    path: V1,
    options: LIMITED,
    body: LONG,
    status: 413,
    answer: { error: "Request Entity Too Large" },
  },
  {
    what: "v2 too large",
    path: V2,
    options: LIMITED,
    body: LONG,
    status: 413,
    answer: { code: "request too large", message: "max request size (100 bytes) exceeded" },
  },
  {
    what: "v3 too large",
    path: V3,
    options: LIMITED,
    body: LONG,
    status: 413,
    answer: "max request size (100 bytes) exceeded",
  },
  {
    what: "v3 too large after gzip",
    path: V3,
    options: LIMITED,
    body: gzipSync(LONG),
    headers: { "content-encoding": "gzip" },
    status: 413,
    answer: "max request size (100 bytes) exceeded",
  },
  {
    what: "v1 gzip",
    path: V1,
    body: gzipSync(LONG),
    headers: { "content-encoding": "gzip" },
    status: 204,
    answer: "",
    lines: [5, 0],
  },
  {
    what: "v2 gzip of several members",
    path: V2,
    body: Buffer.concat([gzipSync(`${GOOD}\n`), gzipSync(GOOD)]),
    headers: { "content-encoding": "gzip" },
    status: 204,
    answer: "",
    lines: [2, 0],
  },
  {
    what: "v3 zstd",
    path: V3,
    body: zstdCompressSync(GOOD),
    headers: { "content-encoding": "zstd" },
    status: 204,
    answer: "",
    lines: [1, 0],
  },
  {
    what: "v3 unknown coding",
    path: V3,
    body: GOOD,
    headers: { "content-encoding": "lzma" },
    status: 400,
    answer: "unacceptable content-encoding: lzma",
  },
  {
    what: "v2 damaged gzip",
    path: V2,
    body: GOOD,
    headers: { "content-encoding": "gzip" },
    status: 400,
    answer: { code: "invalid", message: expect.stringContaining("not gzip") },
  },
  {
    what: "v1 wrong token",
    path: `${V1}&u=x&p=wrong`,
    options: TOKENS,
    body: GOOD,
    status: 401,
    answer: { error: "authorization failed" },
    has: { "www-authenticate": 'Basic realm="InfluxDB"' },
  },
  {
    what: "v2 no token",
    path: V2,
    options: TOKENS,
    body: GOOD,
    status: 401,
    answer: { code: "unauthorized", message: "the request was not authenticated" },
  },
  {
    what: "v3 wrong token",
    path: V3,
    options: TOKENS,
    headers: { authorization: "Bearer wrong" },
    body: GOOD,
    status: 401,
    answer: { error: "the request was not authenticated" },
  },
  {
    what: "v3 malformed header",
    path: V3,
    options: TOKENS,
    headers: { authorization: "secret" },
    body: GOOD,
    status: 400,
    answer: { error: expect.stringContaining("malformed") },
  },
  {
    what: "p is for v1 only",
    path: `${V3}&p=secret`,
    options: TOKENS,
    body: GOOD,
    status: 401,
    answer: { error: "the request was not authenticated" },
  },
  ...[
    { path: `${V1}&u=any&p=secret`, headers: {} },
    { path: V1, headers: { authorization: basic("any:other") } },
    { path: V2, headers: { authorization: "Token secret" } },
    { path: V3, headers: { authorization: "bearer other" } },
    { path: V3, headers: { authorization: basic(":secret") } },
  ].map((row, i) => ({
    ...row,
    what: `right token ${i}`,
    options: TOKENS,
    body: GOOD,
    status: 204,
    answer: "",
  })),
  {
    what: "any token where none is asked for",
    path: V2,
    headers: { authorization: "Token x" },
    body: GOOD,
    status: 204,
    answer: "",
  },
  {
    what: "v1 method",
    path: V1,
    method: "PUT",
    status: 405,
    answer: { error: "send POST, not PUT" },
    has: { allow: "POST" },
  },
  { what: "preflight", path: V3, method: "OPTIONS", status: 204, answer: "" },
  { what: "unknown path", path: "/x", method: "GET", status: 404, answer: { error: "Not found" } },
  {
    what: "ping of v3",
    path: "/ping",
    method: "GET",
    status: 200,
    answer: {
      product_name: "Weir",
      version: "3.0.0",
      revision: "3.0.0",
      process_id: expect.any(String),
    },
    has: {
      "content-type": "application/json",
      "x-influxdb-version": "3.0.0",
      "x-influxdb-build": "Weir",
      "x-request-id": expect.any(String),
      "request-id": expect.any(String),
    },
  },
  {
    what: "ping of v1",
    path: "/ping",
    method: "GET",
    headers: { accept: "application/x-msgpack", "x-request-id": "mine" },
    status: 204,
    answer: "",
    has: { "x-influxdb-version": "3.0.0", "x-request-id": "mine" },
  },
  {
    what: "ping of v1 by its Go client",
    path: "/ping",
    method: "GET",
    headers: { accept: "", "user-agent": "InfluxDBClient" },
    status: 204,
    answer: "",
    has: { "x-influxdb-version": "3.0.0" },
  },
  {
    what: "ping of v1 by its Go client under another name, with a time limit",
    path: "/ping?wait_for_leader=5s",
    method: "GET",
    headers: { accept: "", "user-agent": "mine" },
    status: 204,
    answer: "",
  },
  { what: "ping by HEAD", path: "/ping", method: "HEAD", status: 204, answer: "" },
  {
    what: "ping needs no token",
    path: "/ping",
    method: "POST",
    options: TOKENS,
    status: 200,
    answer: expect.objectContaining({ product_name: "Weir" }),
  },
  {
    what: "health of v3",
    path: "/health",
    method: "GET",
    status: 200,
    answer: "OK",
    has: { "content-type": "text/plain" },
  },
  {
    what: "health of v2",
    path: "/health",
    method: "GET",
    headers: { accept: "application/json" },
    status: 200,
    answer: expect.objectContaining({ name: "influxdb", status: "pass" }),
  },
  {
    what: "health of v2 for its Go client, which does not say what it accepts",
    path: "/health",
    method: "GET",
    headers: { accept: "" },
    status: 200,
    answer: expect.objectContaining({ name: "influxdb", status: "pass" }),
  },
  {
    what: "health of v3 by its path",
    path: "/api/v1/health",
    method: "GET",
    headers: { accept: "application/json" },
    status: 200,
    answer: "OK",
  },
  {
    what: "CREATE DATABASE in a form, as Telegraf sends it",
    path: "/query",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ q: 'CREATE DATABASE "telegraf"' }).toString(),
    status: 200,
    answer: { results: [{ statement_id: 0 }] },
    has: { "content-type": "application/json" },
  },
  {
    what: "CREATE DATABASE in the URL, as the Python client sends it",
    path: `/query?q=${encodeURIComponent('CREATE DATABASE "x\\"y" WITH DURATION 3d NAME "z";')}`,
    status: 200,
    answer: { results: [{ statement_id: 0 }] },
  },
  {
    what: "CREATE DATABASE of one that is not there",
    path: `/query?q=create%20database%20x`,
    options: KNOWN,
    status: 200,
    answer: {
      results: [{ statement_id: 0, error: "database not found: x: it is not in databases" }],
    },
  },
  {
    what: "v1 query without an upstream",
    path: "/query?db=d&q=SHOW%20MEASUREMENTS",
    method: "GET",
    status: 501,
    answer: { error: expect.stringContaining("receivers.influxdb.query_upstream") },
  },
  {
    what: "v2 query without an upstream",
    path: "/api/v2/query",
    body: "{}",
    status: 501,
    answer: { code: "not implemented", message: expect.stringContaining("query_upstream") },
  },
  {
    what: "v3 query without an upstream",
    path: "/api/v3/query_sql",
    body: "{}",
    status: 501,
    answer: { error: expect.stringContaining("query_upstream") },
  },
];

test.each(ROWS)("$what: $status", async (row) => {
  const { rig, url } = await start(row.options);
  const { path, method = "POST", body, headers = {} } = row;
  const given = { "content-type": "text/plain", ...headers };
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: given,
    ...(body !== undefined && { body }),
  });
  const text = await answer.text();
  expect([answer.status, parsed(text)]).toEqual([row.status, row.answer]);
  for (const [name, value] of Object.entries(row.has ?? {}))
    expect(answer.headers.get(name), name).toEqual(value);
  if (row.lines !== undefined) expect([rig.items, rig.lost]).toEqual(row.lines);
  if (row.status >= 400 && row.lines === undefined) expect(rig.items).toBe(0);
});

function parsed(text: string): unknown {
  return text.startsWith("{") ? JSON.parse(text) : text;
}

describe("what we cannot take now", () => {
  const refusal = { kind: "refused" as const, retryAfterMs: 7_000, why: "the queue is full" };
  test.each([
    [V1, { error: "the queue is full" }],
    [V2, { code: "unavailable", message: "the queue is full" }],
    [V3, "the queue is full"],
  ])("%s before the body is read: 503 and a pause", async (path, body) => {
    const { rig, url } = await start();
    rig.refusals.push(refusal);
    const answer = await fetch(url + path, { method: "POST", body: GOOD });
    expect([answer.status, parsed(await answer.text())]).toEqual([503, body]);
    expect(answer.headers.get("retry-after")).toBe("7");
    expect([rig.items, rig.outcome("refused")]).toEqual([0, 1]);
  });

  test("what breaks inside is told without details, and logged", async () => {
    const { rig, url } = await start();
    rig.submitting = () => Promise.reject(new Error("secret detail"));
    const answer = await fetch(url + V2, { method: "POST", body: GOOD });
    expect([answer.status, await answer.json()]).toEqual([
      500,
      { code: "internal error", message: "internal error" },
    ]);
    expect(rig.said.join()).toContain("secret detail");
  });
});

test("acknowledged only when durable", async () => {
  const { rig, url } = await start();
  const { promise, resolve } = Promise.withResolvers<void>();
  rig.submitting = () => promise;
  let isAnswered = false;
  const answer = fetch(url + V1, { method: "POST", body: GOOD }).then((got) => {
    isAnswered = true;
    return got.status;
  });
  await new Promise((later) => setTimeout(later, 100));
  expect(isAnswered).toBe(false);
  resolve();
  expect(await answer).toBe(204);
});

test.each([
  [V1, "n", 1_705_314_600_000_000_001n, 1_705_314_600_000_000_001n],
  [V1, "u", 1_705_314_600_000_001n, 1_705_314_600_000_001_000n],
  [V1, "ms", 1_705_314_600_001n, 1_705_314_600_001_000_000n],
  [V1, "s", 1_705_314_600n, 1_705_314_600_000_000_000n],
  [V1, "m", 28_421_910n, 1_705_314_600_000_000_000n],
  [V1, "h", 473_698n, 1_705_312_800_000_000_000n],
  [V2, "us", 1_705_314_600_000_001n, 1_705_314_600_000_001_000n],
  [V3, "auto", 1_705_314_600n, 1_705_314_600_000_000_000n],
  [V3, "millisecond", 1_705_314_600_001n, 1_705_314_600_001_000_000n],
])("%s with precision %s", async (path, precision, sent, nanos) => {
  const { rig, url } = await start();
  const answer = await fetch(`${url}${path}&precision=${precision}`, {
    method: "POST",
    body: `m v=1 ${sent}`,
  });
  expect(answer.status).toBe(204);
  expect(rig.records()[0]?.time).toBe(String(nanos));
});

test("a line without a time gets ours, as coarse as the request's", async () => {
  const { rig, url } = await start();
  await fetch(`${url}${V1}&precision=s`, { method: "POST", body: "m v=1" });
  expect(rig.records()[0]?.time).toMatch(/^\d{10}0{9}$/);
});

describe("databases", () => {
  const carriedBy = async (options: object, path: string) => {
    const { rig, url } = await start(options);
    const { status } = await fetch(url + path, { method: "POST", body: "m,service=s v=1\nm v=2" });
    expect(status).toBe(204);
    return rig.records().map(({ resource }) => resource);
  };

  test("their names are carried when an attribute is named for them", async () => {
    const named = { database_attribute: "influxdb.database" };
    expect(await carriedBy(named, "/write?db=a&rp=weekly")).toEqual([
      { "influxdb.database": "a/weekly", "service.name": "s" },
      { "influxdb.database": "a/weekly" },
    ]);
    expect(await carriedBy(named, "/write?db=a&rp=autogen")).toEqual([
      { "influxdb.database": "a", "service.name": "s" },
      { "influxdb.database": "a" },
    ]);
  });

  test("under another name, where the map has one", async () => {
    const options = {
      database_attribute: "tenant",
      databases: { luna_monitoring: { database: "luna" }, telegraf: {} },
    };
    expect(await carriedBy(options, "/api/v2/write?bucket=luna_monitoring")).toEqual([
      { tenant: "luna", "service.name": "s" },
      { tenant: "luna" },
    ]);
    expect((await carriedBy(options, "/api/v3/write_lp?db=telegraf"))[1]).toEqual({
      tenant: "telegraf",
    });
  });

  test("not without that", async () => {
    expect(await carriedBy({}, V1)).toEqual([{ "service.name": "s" }, {}]);
  });
});

test("bad lines are logged once a minute, and never a token", async () => {
  const { rig, url } = await start(TOKENS);
  const headers = { authorization: "Token secret" };
  for (let i = 0; i < 3; i++)
    await fetch(url + V3, { method: "POST", body: `${GOOD}\nbad`, headers });
  expect(rig.said).toHaveLength(1);
  expect(rig.said[0]).toMatch(/lines were rejected .*"line 2, byte 4: .*":1/);
  expect(rig.said.join()).not.toContain("secret");
});

test("a list of bad lines has an end", async () => {
  const { rig, url } = await start();
  const body = `${GOOD}\n${"bad\n".repeat(1_500)}`;
  const v3 = await (await fetch(url + V3, { method: "POST", body })).json();
  const { data } = v3 as { data: { line_number: number; error_message: string }[] };
  expect(data).toHaveLength(1_001);
  expect(data.at(-1)).toEqual({
    error_message: "and 500 more bad lines: at most 1000 are listed",
    line_number: 1_002,
    original_line: "",
  });
  const v1 = (await (await fetch(url + V1, { method: "POST", body })).json()) as { error: string };
  expect(v1.error.split("\n")).toHaveLength(1_001);
  expect([rig.items, rig.lost]).toEqual([2, 3_000]);
});
