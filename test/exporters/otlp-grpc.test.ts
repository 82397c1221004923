import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { Server, ServerCredentials, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { createOtlpGrpc } from "../../src/exporters/otlp_grpc/index.ts";
import { dial } from "../../src/kit/client/grpc-dial.ts";
import { grpcTarget } from "../../src/kit/client/grpc-target.ts";
import { otlpGrpcVerdict } from "../../src/kit/client/otlp-verdicts.ts";
import { makeSlab } from "../../src/kit/delivery/slabs.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { partialSuccessBody, statusBody } from "../../src/otlp/responses.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import type { Authenticator } from "../../src/pipeline/auth.ts";
import { pem, pemPath } from "../support/certificates.ts";
import { ownMs } from "../support/core-waits.ts";
import { recordingLog, recordingMeter, sending } from "../support/export-rig.ts";
import { type GrpcSinkAnswer, grpcSink } from "../support/grpc-sink.ts";
import { rangeOf } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { freePorts } from "../support/service.ts";
import { until } from "../support/until.ts";

const indexer = createIndexer();
const factory = createOtlpGrpc(pickItems);
const body = new TextEncoder().encode("telemetry".repeat(1_000));
const authenticator: Authenticator = {
  client: { headers: () => ["Authorization", "Bearer t"] },
  start: async () => {},
  stop: async () => {},
};

function exporterTo<S extends Signal = "logs">(
  endpoint: string,
  options: object = {},
  signal = "logs" as S,
) {
  const log = recordingLog();
  const config = factory.schema.parse({ endpoint, tls: { insecure: true }, ...options });
  const backend = factory.create<S>(config, {
    ...{ id: "otlp_grpc", route: `otlp_grpc/${signal}`, signal, log, indexer },
    ...{ meter: recordingMeter(), nowMs: Date.now, fail: () => {} },
    authenticator: () => authenticator,
  });
  onTestFinished(() => backend.stop(AbortSignal.abort()));
  const post = (bytes = body, timeoutMs = 60_000) =>
    backend.post(bytes, sending, AbortSignal.timeout(timeoutMs));
  return { backend, post, log };
}

async function stand(options: object, ...script: readonly GrpcSinkAnswer[]) {
  const sink = await grpcSink(script);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  return { sink, ...exporterTo(sink.address, options) };
}

const sent = { is: "sent", unconfirmed: false };

test("untouched frames leave with the bytes they came in with", () => {
  const { backend } = exporterTo("127.0.0.1:1");
  const record = { body: { stringValue: "x" } };
  const bytes = encodeRequest("logs", {
    resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }],
  });
  const indexed = indexer.index("logs", bytes.slice(), bytes.length);
  if (!("batch" in indexed)) throw new Error(indexed.why);
  const { batch } = indexed;
  const slab = makeSlab(1_000);
  backend.writer.write(rangeOf([batch, batch], 0), 0, 2, slab);
  const own = Buffer.from(batch.bytes.subarray(0, batch.length));
  expect(Buffer.from(slab.bytes.subarray(0, slab.length))).toEqual(Buffer.concat([own, own]));
});

test.each([
  ["logs", "logs.v1.LogsService"],
  ["metrics", "metrics.v1.MetricsService"],
  ["traces", "trace.v1.TraceService"],
] as const)("%s go to %s, over one connection per lane", async (signal, service) => {
  const { sink } = await stand({}, {});
  const { post } = exporterTo(sink.address, { auth: { authenticator: "a" } }, signal);
  for (let i = 0; i < 3; i++) expect(await post()).toEqual(sent);
  expect(sink.calls.map(({ message }) => message)).toEqual(Array(3).fill(Buffer.from(body)));
  expect(sink.connections).toBe(1);
  expect(sink.calls[0]?.headers).toMatchObject({
    ":path": `/opentelemetry.proto.collector.${service}/Export`,
    ":authority": sink.address,
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "5000m",
    authorization: "Bearer t",
  });
  await Promise.all([post(), post(), post(), post()]);
  expect(sink.connections).toBe(4);
});

test("headers, -bin headers in base64, authority", async () => {
  const headers = { "X-Scope-OrgID": "a", "trace-bin": "xyz" };
  const { sink, post } = await stand(
    { headers, authority: "elsewhere:1", user_agent: "me/1", timeout: "0s" },
    {},
  );
  await post();
  expect(sink.calls[0]?.headers).toMatchObject({
    "x-scope-orgid": "a",
    "trace-bin": Buffer.from("xyz").toString("base64"),
    ":authority": "elsewhere:1",
    "user-agent": "me/1",
  });
  expect(sink.calls[0]?.headers["grpc-timeout"]).toBeUndefined();
});

test.each([
  ["gzip", gunzipSync],
  ["zstd", zstdDecompressSync],
] as const)("compression: %s", async (compression, decode) => {
  const { sink, post } = await stand({ compression }, {});
  expect(await post()).toEqual(sent);
  const [call] = sink.calls;
  expect(call?.headers["grpc-encoding"]).toBe(compression);
  expect(call?.isCompressed).toBe(true);
  expect(decode(call?.message ?? "")).toEqual(Buffer.from(body));
});

test("TLS is on unless it is switched off, and must be trusted", async () => {
  const tls = { key: pem("server.key"), cert: pem("server") };
  const sink = await grpcSink([{}], tls);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const trusted = { tls: { ca_file: pemPath("ca"), server_name_override: "localhost" } };
  expect(await exporterTo(sink.address, trusted).post()).toEqual(sent);
  expect(await exporterTo(`https://${sink.address}`, trusted).post()).toEqual(sent);
  const blind = { tls: { insecure_skip_verify: true } };
  expect(await exporterTo(sink.address, blind).post()).toEqual(sent);
  expect(await exporterTo(sink.address, { tls: undefined }).post()).toMatchObject({
    is: "retry",
    why: expect.stringContaining("certificate"),
  });
  const plain = await exporterTo(`http://${sink.address}`).post();
  expect(plain).toMatchObject({ is: "retry" });
  expect(sink.calls).toHaveLength(3);
});

test("an independent server (grpc-js) takes the calls and its errors are understood", async () => {
  const messages: Buffer[] = [];
  const server = new Server({ "grpc.max_receive_message_length": 10_000 });
  onTestFinished(() => server.forceShutdown());
  const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  const whole = { deserialize: (bytes: Buffer) => bytes, serialize: (bytes: Buffer) => bytes };
  server.addService(
    {
      Export: {
        path,
        requestStream: false,
        responseStream: false,
        requestDeserialize: whole.deserialize,
        requestSerialize: whole.serialize,
        responseDeserialize: whole.deserialize,
        responseSerialize: whole.serialize,
      },
    },
    {
      Export: (
        { request }: ServerUnaryCall<Buffer, Buffer>,
        done: (error: object | null, reply?: Buffer) => void,
      ) => {
        messages.push(request);
        if (messages.length === 2) done({ code: status.INVALID_ARGUMENT, details: "no% ü" });
        else done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const { post } = exporterTo(`127.0.0.1:${port}`);
  expect(await post()).toEqual(sent);
  expect(messages).toEqual([Buffer.from(body)]);
  expect(await post()).toEqual({ is: "rejected", why: "gRPC INVALID_ARGUMENT: no% ü" });
  const large = new Uint8Array(10_001);
  expect(await post(large)).toMatchObject({ is: "split" });
  const other = exporterTo(`127.0.0.1:${port}`, {}, "traces");
  expect(await other.post()).toMatchObject({ is: "retry", alarm: true });
  expect(await exporterTo(`127.0.0.1:${port}`, { compression: "gzip" }).post()).toEqual(sent);
});

const retryInfo = (ms: number) =>
  statusBody({ kind: "refused", why: "busy", retryAfterMs: ms }, "protobuf");

test.each([
  [1, "", 0, { is: "retry" }],
  [2, "", 0, { is: "rejected" }],
  [3, "", 0, { is: "rejected" }],
  [4, "", 0, { is: "retry" }],
  [5, "", 0, { is: "rejected" }],
  [6, "", 0, { is: "rejected" }],
  [7, "", 0, { is: "pause" }],
  [8, "", 0, { is: "split" }],
  [8, "", 2_500, { is: "retry", afterMs: 2_500 }],
  [8, "grpc: received message larger than max (5 vs. 4)", 2_500, { is: "split" }],
  [8, "the message has 9 bytes, the limit is 8: send smaller batches", 0, { is: "split" }],
  [8, "ingestion quota used up", 0, { is: "pause" }],
  [9, "", 0, { is: "rejected" }],
  [10, "", 0, { is: "retry" }],
  [11, "", 0, { is: "retry" }],
  [12, "unknown service", 0, { is: "retry", alarm: true }],
  [13, "", 0, { is: "rejected" }],
  [14, "", 0, { is: "retry" }],
  [14, "", 1_500, { is: "retry", afterMs: 1_500 }],
  [15, "", 0, { is: "retry" }],
  [16, "", 0, { is: "pause" }],
  [99, "", 0, { is: "retry", alarm: true }],
])("status %i %j, RetryInfo %i ms", (code, message, ms, expected) => {
  const details = ms > 0 ? retryInfo(ms) : new Uint8Array(0);
  const answer = { code, message, details, reply: new Uint8Array(0) };
  expect(otlpGrpcVerdict(answer, () => {})).toMatchObject(expected);
});

test.each([
  [400, { is: "retry", alarm: true }],
  [401, { is: "pause" }],
  [403, { is: "pause" }],
  [404, { is: "retry", alarm: true }],
  [413, { is: "split" }],
  [429, { is: "retry" }],
  [500, { is: "retry", alarm: true }],
  [502, { is: "retry" }],
  [503, { is: "retry" }],
  [504, { is: "retry" }],
])("a proxy's HTTP %i", async (code, expected) => {
  const { post } = await stand(
    {},
    { raw: (stream) => stream.respond({ ":status": code }, { endStream: true }) },
  );
  const verdict = await post();
  expect(verdict).toMatchObject({ ...expected, why: expect.stringContaining(`HTTP ${code}`) });
});

test("a partial success is counted, said once, and never sent again", async () => {
  const reply = partialSuccessBody("logs", 3, "too old", "protobuf");
  const { post, log, sink } = await stand({}, { reply });
  const dropped = new Map([["rejected_by_destination", 3]]);
  expect(await post()).toEqual({ ...sent, dropped });
  expect(await post()).toEqual({ ...sent, dropped });
  expect(log.lines).toHaveLength(1);
  expect(sink.calls).toHaveLength(2);
});

test("wait_for_ready waits for a server that comes later; without it the call fails at once", async () => {
  const [port = 0] = await freePorts(1);
  const refused = await exporterTo(`127.0.0.1:${port}`).post();
  expect(refused).toMatchObject({ is: "retry", why: expect.stringContaining("ECONNREFUSED") });
  const { post } = exporterTo(`127.0.0.1:${port}`, { wait_for_ready: true });
  const waiting = post(body, 60_000);
  await wait(100);
  const sockets: { destroy(): void }[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(port, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "connection");
  sockets[0]?.destroy();
  expect(await waiting).toMatchObject({ is: "retry" });
});

test("keepalive: a server that answers no ping is given up", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.resume())).listen(0, "127.0.0.1");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (const permit_without_stream of [false, true]) {
    const keepalive = { time: "50ms", timeout: "50ms", permit_without_stream };
    const { post } = exporterTo(`127.0.0.1:${port}`, { keepalive });
    const givenUp = async () => expect(await post()).toMatchObject({ is: "retry" });
    expect(await ownMs(givenUp)).toBeLessThan(2_000);
  }
});

test("large messages go through, hundreds of small ones over one connection", async () => {
  const { sink, post } = await stand({ max_message_size: 32 << 20 }, {});
  expect(await post(new Uint8Array(32 << 20), 60_000)).toEqual(sent);
  expect(sink.calls[0]?.message.length).toBe(32 << 20);
  for (let i = 0; i < 300; i++) expect(await post(new Uint8Array(i))).toEqual(sent);
  expect(sink.connections).toBe(1);
});

test("memory of a request that was not wholly sent is let go: its connection is cut", async () => {
  const { post, sink } = await stand({}, { onHead: (stream) => stream.pause() }, {});
  const large = new Uint8Array(8 << 20).fill(7);
  expect(await post(large, 300)).toMatchObject({ is: "retry" });
  large.fill(9);
  expect(await post()).toEqual(sent);
  expect(sink.calls.map(({ message }) => message.length)).toEqual([body.length]);
  expect(sink.connections).toBe(2);
});

test("round_robin: connections go to all addresses in turn, past those that do not answer", async () => {
  const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
  const seen: string[] = [];
  const [port = 0] = await freePorts(1);
  for (const host of hosts) {
    const server = createServer((socket) => {
      seen.push(host);
      socket.destroy();
    }).listen(port, host);
    await once(server, "listening");
    onTestFinished(() => void server.close());
  }
  const target = { host: "many", port, isTls: false };
  const resolve = async () => [...hosts, "127.0.0.4"];
  const options = { target, tls: undefined, connectTimeoutMs: 1_000, resolve } as const;
  const stop = new AbortController().signal;
  for (let turn = 0; turn < 4; turn++) {
    (await dial({ ...options, balancer: "round_robin" }, turn, stop)).destroy();
    await until(() => seen.length > turn);
  }
  expect(seen).toEqual([...hosts, "127.0.0.1"]);
  const late = {
    ...options,
    balancer: "round_robin",
    resolve: () => new Promise<string[]>(() => {}),
  } as const;
  await expect(dial(late, 0, AbortSignal.timeout(50))).rejects.toThrow("timeout");
  const none = { ...options, balancer: "round_robin", resolve: async () => ["127.0.0.4"] } as const;
  await expect(dial(none, 0, stop)).rejects.toThrow("ECONNREFUSED 127.0.0.4");
});

test("the Collector's old name is accepted, with one warning", async () => {
  const text = `
receivers: { otlp: { protocols: { http: {} } } }
exporters: { otlp: { endpoint: "collector:4317", tls: { insecure: true }, compression: gzip, balancer_name: round_robin } }
service: { pipelines: { logs: { receivers: [otlp], exporters: [otlp] } } }`;
  const catalog = createComponents;
  const sources = [`yaml:${text}`];
  const loaded = await loadConfig({ sources, sets: [], env: {}, catalog, cwd: process.cwd() });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join());
  expect(loaded.config.exporters.get("otlp")?.type).toBe("otlp_grpc");
  const warnings = loaded.warnings.filter(({ message }) => message.includes("otlp_grpc"));
  expect(warnings).toHaveLength(1);
});

test.each([
  ["collector:4317", false, { host: "collector", port: 4317, isTls: true }],
  ["collector:4317", true, { host: "collector", port: 4317, isTls: false }],
  ["http://collector:4317", false, { host: "collector", port: 4317, isTls: false }],
  ["https://collector:4317/", true, { host: "collector", port: 4317, isTls: true }],
  ["dns:///collector:4317", false, { host: "collector", port: 4317, isTls: true }],
  ["dns://8.8.8.8/collector:4317", true, { host: "collector", port: 4317, isTls: false }],
  ["[::1]:4317", true, { host: "::1", port: 4317, isTls: false }],
])("endpoint %s, insecure %j", (endpoint, insecure, target) => {
  expect(grpcTarget(endpoint, insecure)).toEqual(target);
});

test.each([
  [{ endpoint: "" }, 'requires a non-empty "endpoint"'],
  [{ endpoint: undefined }, 'requires a non-empty "endpoint"'],
  [{ endpoint: "collector" }, "expected host:port"],
  [{ endpoint: "http://collector" }, "expected host:port"],
  [{ endpoint: "http://collector:4317/v1/logs" }, "expected host:port"],
  [{ endpoint: "collector:0" }, "there is no port 0"],
  [{ endpoint: "collector:65536" }, "there is no port 65536"],
  [{ headers: { "grpc-timeout": "1S" } }, "belongs to gRPC itself"],
  [{ headers: { a: "s3cret\n" } }, "line break"],
  [{ compression: "snappy" }, "none"],
])("%j is a configuration error", (options, message) => {
  const { error } = factory.schema.safeParse({ endpoint: "collector:4317", ...options });
  expect(error?.issues[0]?.message).toContain(message);
  expect(JSON.stringify(error?.issues)).not.toContain("s3cret");
});
