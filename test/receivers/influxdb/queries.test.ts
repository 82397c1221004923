import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createHttpServer } from "../../../src/kit/server/http-server.ts";
import type { Authenticator, HeaderOf } from "../../../src/pipeline/auth.ts";
import { pem, pemPath } from "../../support/certificates.ts";
import { startInfluxdb } from "../../support/influxdb-receiver.ts";
import { framed } from "../../support/raw-grpc.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: object = {}, rig = new ReceiverRig("influxdb")) {
  const receiver = await startInfluxdb(rig, options);
  cleanups.push(receiver.stop);
  return { rig, ...receiver };
}

interface Asked {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A database that answers everything, over HTTP and gRPC, and keeps what it was asked. */
async function database() {
  const asked: Asked[] = [];
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "database",
    onRequest: async (request) => {
      const { bytes, length } = await request.readBody(1 << 20);
      const body = Buffer.from(bytes.subarray(0, length)).toString();
      const target = request.query === "" ? request.path : `${request.path}?${request.query}`;
      asked.push({ line: `${request.method} ${target}`, headers: request.headers, body });
      return {
        status: 200,
        contentType: "application/json",
        headers: { "x-influxdb-version": "1.8.10" },
        body: '{"results":[{"statement_id":0}]}',
      };
    },
    onHttp2Stream: (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const body = Buffer.concat(chunks).toString("latin1");
        asked.push({ line: `${headers[":method"]} ${headers[":path"]}`, headers, body });
        stream.respond(
          { ":status": 200, "content-type": "application/grpc" },
          { waitForTrailers: true },
        );
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(framed(Buffer.from("rows")));
      });
    },
  });
  await server.start();
  cleanups.push(() => server.stop(AbortSignal.timeout(500)));
  return { asked, upstream: { query_upstream: `http://${server.address()}` } };
}

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const PANEL =
  'SELECT mean("f") FROM "m" WHERE ("tag"::tag = \'v\') AND time >= 1700000000000ms GROUP BY time(10s), "tag"::tag fill(null)';

/** What Grafana's data source and the clients ask (influx.md §4), as they send it. */
const ASKED = [
  ["GET", `/query?db=d&epoch=ms&q=${encodeURIComponent(PANEL)}`, undefined, {}],
  ["GET", "/query?db=d&q=SHOW+measurements&rp=weekly", undefined, { authorization: "Token t" }],
  ["POST", "/query?db=d&epoch=ms", new URLSearchParams({ q: PANEL }).toString(), FORM],
  [
    "POST",
    "/query?db=d",
    'q=SHOW TAG VALUES FROM "m" WITH KEY = "k"',
    { "content-type": "application/vnd.influxql" },
  ],
  ["POST", "/api/v3/query_sql", '{"db":"d","q":"select 1"}', { accept: "text/csv" }],
  ["GET", "/api/v3/query_influxql?db=d&q=SHOW%20DATABASES&format=jsonl", undefined, {}],
  ["POST", "/api/v2/query?org=o", '{"query":"from(bucket:\\"b\\")"}', {}],
  ["GET", "/api/v3/configure/database?format=json", undefined, {}],
  ["DELETE", "/api/v3/configure/table?db=d&table=x", undefined, {}],
  ["GET", "/metrics", undefined, {}],
] as const;

test.each(ASKED)(
  "%s %s goes on as it is, and its answer comes back",
  async (method, target, body, headers) => {
    const { asked, upstream } = await database();
    const { url } = await start(upstream);
    const answer = await fetch(url + target, {
      method,
      headers,
      ...(body !== undefined && { body }),
    });
    expect([answer.status, await answer.json()]).toEqual([200, { results: [{ statement_id: 0 }] }]);
    expect(answer.headers.get("x-influxdb-version")).toBe("1.8.10");
    expect(asked).toHaveLength(1);
    const sent = new URL(url + target); // as fetch writes it
    expect([asked[0]?.line, asked[0]?.body]).toEqual([
      `${method} ${sent.pathname}${sent.search}`,
      body ?? "",
    ]);
    expect(asked[0]?.headers).toMatchObject({ ...headers, "x-forwarded-for": "127.0.0.1" });
  },
);

test("CREATE DATABASE and writes stay here", async () => {
  const { asked, upstream } = await database();
  const { url, rig } = await start(upstream);
  const created = await fetch(`${url}/query`, {
    method: "POST",
    headers: FORM,
    body: "q=CREATE+DATABASE+%22telegraf%22",
  });
  expect(await created.json()).toEqual({ results: [{ statement_id: 0 }] });
  await fetch(`${url}/write?db=d`, { method: "POST", body: "m v=1" });
  expect([asked, rig.items]).toEqual([[], 1]);
});

test.each([
  ['CREATE DATABASE "x"; DROP DATABASE "x"', undefined],
  ["CREATE DATABASE x y", undefined],
  ["SELECT 'CREATE DATABASE x'", undefined],
  ["create\ndatabase x ;", { results: [{ statement_id: 0 }] }],
  [`CREATE DATABASE ${"x".repeat(5_000)}`, undefined],
])("%j is taken for what it is", async (q, answer) => {
  const { url } = await start();
  const answered = await fetch(`${url}/query?${new URLSearchParams({ q })}`, { method: "POST" });
  if (answer === undefined) expect(answered.status).toBe(501);
  else expect(await answered.json()).toEqual(answer);
});

describe("a database that is not there", () => {
  const nowhere = { query_upstream: "http://127.0.0.1:1" };
  const why = expect.stringMatching(/127\.0\.0\.1:1 \(receivers\.influxdb\.query_upstream\)/);
  test.each([
    ["/query?q=SHOW%20DATABASES", { error: why }],
    ["/api/v2/query", { code: "unavailable", message: why }],
    ["/api/v3/query_sql?q=x", { error: why }],
  ])("%s: 502 in the words of its version", async (target, body) => {
    const { url } = await start(nowhere);
    const answer = await fetch(url + target, { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([502, body]);
  });
});

interface Called {
  readonly head: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
}

/** Flight's DoGet, as Grafana's SQL mode and influxdb3-client call it. */
async function call(address: string, headers: Record<string, string> = {}): Promise<Called> {
  const session = connect(`http://${address}`);
  cleanups.push(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/arrow.flight.protocol.FlightService/DoGet",
    "content-type": "application/grpc+proto",
    te: "trailers",
    database: "d",
    ...headers,
  });
  let trailers: Record<string, unknown> = {};
  let body = "";
  stream.on("trailers", (given: Record<string, unknown>) => {
    trailers = given;
  });
  stream.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  stream.end(framed(Buffer.from('{"database":"d","sql_query":"select 1"}')));
  const [head] = (await once(stream, "response")) as [Record<string, unknown>];
  await once(stream, "close");
  return { head, trailers, body };
}

test("Flight goes on with its metadata, and its trailers come back", async () => {
  const { asked, upstream } = await database();
  const { address } = await start({ ...upstream, tokens: ["t"] });
  const { head, trailers, body } = await call(address, { authorization: "Bearer t" });
  expect([head[":status"], trailers["grpc-status"]]).toEqual([200, "0"]);
  expect(body).toMatch(/rows$/);
  expect(asked[0]).toMatchObject({
    line: "POST /arrow.flight.protocol.FlightService/DoGet",
    headers: { database: "d", authorization: "Bearer t" },
  });
});

test("Flight without a token, and without a database behind", async () => {
  const { asked, upstream } = await database();
  const closed = await start({ ...upstream, tokens: ["t"] });
  expect((await call(closed.address)).head).toMatchObject({ "grpc-status": "16" });
  expect((await call(closed.address, { authorization: "Bearer x" })).head).toMatchObject({
    "grpc-status": "16",
  });
  expect(asked).toEqual([]);
  const open = await start();
  expect((await call(open.address)).head).toMatchObject({
    "grpc-status": "12",
    "grpc-message": expect.stringContaining("receivers.influxdb.query_upstream"),
  });
});

test("queries need the token that writes need", async () => {
  const { asked, upstream } = await database();
  const { url } = await start({ ...upstream, tokens: ["t"] });
  const status = async (target: string, headers = {}) =>
    (await fetch(url + target, { headers })).status;
  expect(await status("/query?q=SHOW%20DATABASES")).toBe(401);
  expect(await status("/api/v3/query_sql?q=x", { authorization: "Token x" })).toBe(401);
  expect(asked).toEqual([]);
  expect(await status("/query?q=SHOW%20DATABASES&u=x&p=t")).toBe(200);
  expect(await status("/api/v3/query_sql?q=x", { authorization: "Token t" })).toBe(200);
});

/** Lets in who sends this header; its answer may take a moment. */
function extension(right: string, isSlow: boolean): Authenticator {
  const check = (header: HeaderOf) =>
    header("authorization") === right ? undefined : { why: "not known here", challenge: "X" };
  return {
    server: { check: isSlow ? async (header: HeaderOf) => check(header) : check },
    start: async () => {},
    stop: async () => {},
  };
}

describe.each([false, true])("an extension that decides (slowly: %s)", (isSlow) => {
  const LOGIN = `Basic ${Buffer.from("ann:secret").toString("base64")}`;
  const secured = async (more: object = {}) => {
    const rig = new ReceiverRig("influxdb");
    rig.authenticator = extension(LOGIN, isSlow);
    return await start({ auth: { authenticator: "basic_auth" }, ...more }, rig);
  };

  test("u and p of version 1 are its user and password", async () => {
    const { url, rig } = await secured();
    const post = async (target: string, headers = {}) =>
      (await fetch(url + target, { method: "POST", body: "m v=1", headers })).status;
    expect(await post("/write?db=d&u=ann&p=secret")).toBe(204);
    expect(await post("/write?db=d", { authorization: LOGIN })).toBe(204);
    expect(await post("/write?db=d&u=ann&p=other")).toBe(401);
    expect(await post("/write?db=d")).toBe(401);
    expect(await post("/api/v3/write_lp?db=d&u=ann&p=secret")).toBe(401);
    expect([rig.items, rig.outcome("unauthorized")]).toEqual([2, 3]);
  });

  test("and for gRPC", async () => {
    const { upstream } = await database();
    const { address } = await secured(upstream);
    expect((await call(address)).head).toMatchObject({ "grpc-status": "16" });
    const { trailers } = await call(address, { authorization: LOGIN });
    expect(trailers["grpc-status"]).toBe("0");
  });
});

test("tokens and auth together are a mistake, and so is an empty token or a URL with a path", async () => {
  const start = (options: object) => startInfluxdb(new ReceiverRig("influxdb"), options);
  await expect(start({ tokens: ["t"], auth: { authenticator: "basic_auth" } })).rejects.toThrow(
    "keep one",
  );
  await expect(start({ tokens: [""] })).rejects.toThrow("a token is empty");
  await expect(start({ tokens: [] })).rejects.toThrow();
  await expect(start({ databases: {} })).rejects.toThrow("expected the name of a database");
  for (const url of ["http://h:1/path", "http://u:p@h:1"])
    await expect(start({ query_upstream: url }), url).rejects.toThrow("only http://host:port");
  for (const url of ["https://h:1", "h:1"])
    await expect(start({ query_upstream: url }), url).rejects.toThrow("begins with http://");
});

test("over TLS", async () => {
  const tls = { cert_file: pemPath("server"), key_file: pemPath("server.key") };
  const { address, rig } = await start({ tls });
  const { request } = await import("node:https");
  const [host, port] = address.split(":");
  const sent = request({
    host,
    port,
    path: "/api/v2/write?bucket=b",
    method: "POST",
    ca: pem("ca"),
    servername: "localhost",
  });
  sent.end("m v=1");
  const [answer] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
  answer.resume();
  expect([answer.statusCode, rig.items]).toEqual([204, 1]);
});

test("a database that streams for long is not waited for: rows come as they are made", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = createServer(async (_request, response) => {
    response.write("first\n");
    await promise;
    response.end("last\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { url } = await start({ query_upstream: `http://127.0.0.1:${port}` });
  const answer = await fetch(`${url}/api/v3/query_sql?q=x&format=jsonl`);
  const reader = answer.body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? []).toString()).toBe("first\n");
  resolve();
  const last = await reader?.read();
  expect(Buffer.from(last?.value ?? []).toString()).toBe("last\n");
});
