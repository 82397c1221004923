import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import type { UpstreamTimes } from "../../../src/kit/doors/query-upstream.ts";
import { Http2QueryUpstream } from "../../../src/kit/doors/query-upstream-http2.ts";
import { answerStranger, grpcHttpStatus } from "../../../src/kit/server/grpc-refusals.ts";
import { createHttpServer, type HttpServer } from "../../../src/kit/server/http-server.ts";
import { tlsServer } from "../../../src/kit/tls/tls-block.ts";
import { ServerTls } from "../../../src/kit/tls/tls-server.ts";
import { pem, pemPath } from "../../support/certificates.ts";
import { framed } from "../../support/raw-grpc.ts";
import { until } from "../../support/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const bytes = (value: Buffer) => value;
/** A service as Flight's: one call, a stream of answers, and a stream of requests. */
const SERVICE = {
  one: { path: "/t.T/One", requestStream: false, responseStream: false },
  many: { path: "/t.T/Many", requestStream: false, responseStream: true },
  count: { path: "/t.T/Count", requestStream: true, responseStream: false },
} as const;
const definition = Object.fromEntries(
  Object.entries(SERVICE).map(([name, method]) => [
    name,
    {
      ...method,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  ]),
) as grpc.ServiceDefinition;

const CHUNK = Buffer.alloc(100_000, "x");

/** A database with gRPC; what its calls saw is in `seen`. */
async function database() {
  const seen: { metadata: grpc.Metadata; cancelled: boolean; sent: number }[] = [];
  const server = new grpc.Server();
  const note = ({ metadata }: { metadata: grpc.Metadata }) => {
    const call = { metadata, cancelled: false, sent: 0 };
    seen.push(call);
    return call;
  };
  server.addService(definition, {
    one(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      note(call);
      const trailers = new grpc.Metadata();
      trailers.set("x-duration", "7");
      if (call.request.toString() === "bad")
        callback({ code: grpc.status.NOT_FOUND, details: "ж: no such table", metadata: trailers });
      else callback(null, Buffer.concat([call.request, call.request]), trailers);
    },
    async many(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      const noted = note(call);
      call.on("cancelled", () => {
        noted.cancelled = true;
      });
      const count = Number(call.request.toString());
      for (let i = 0; i < count && !call.cancelled; i++) {
        noted.sent++;
        if (!call.write(CHUNK)) await once(call, "drain").catch(() => {});
      }
      call.end();
    },
    count(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      let total = 0;
      call.on("data", (chunk: Buffer) => {
        total += chunk.length;
      });
      call.on("end", () => callback(null, Buffer.from(String(total))));
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  cleanups.push(() => server.forceShutdown());
  return { url: `http://127.0.0.1:${port}`, seen };
}

async function proxy(url: string, tls?: ServerTls, times: UpstreamTimes = {}): Promise<HttpServer> {
  const upstream = new Http2QueryUpstream(url, "receivers.x.query_upstream", times);
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "test",
    tls,
    headersTimeoutMs: 2_000,
    onRequest: async (request) => ({
      status: 200,
      body: `${request.method} ${(await request.readBody(1_000)).length}`,
    }),
    onHttp2Stream: (stream, headers) =>
      grpcHttpStatus(headers) === 200
        ? upstream.forward(stream, headers)
        : answerStranger(stream, 505, "HTTP/1.1, please", 1_000),
  });
  await server.start();
  cleanups.push(() => server.stop(AbortSignal.timeout(1_000)));
  return server;
}

function clientOf(address: string | undefined, credentials = grpc.credentials.createInsecure()) {
  const client = new grpc.Client(String(address), credentials, {
    "grpc.max_receive_message_length": -1,
    "grpc.ssl_target_name_override": "localhost",
  });
  cleanups.push(() => client.close());
  return client;
}

function one(client: grpc.Client, request: string, metadata = new grpc.Metadata()) {
  return new Promise<{ reply: string; trailers: grpc.Metadata; error: grpc.ServiceError | null }>(
    (resolve) => {
      let reply = "";
      let failed: grpc.ServiceError | null = null;
      const call = client.makeUnaryRequest(
        SERVICE.one.path,
        bytes,
        bytes,
        Buffer.from(request),
        metadata,
        (error, answer) => {
          failed = error;
          reply = answer?.toString() ?? "";
        },
      );
      call.on("status", ({ metadata: trailers }) =>
        setImmediate(() => resolve({ reply, trailers, error: failed })),
      );
    },
  );
}

test("a call goes through with its metadata, its answer and its trailers", async () => {
  const { url, seen } = await database();
  const client = clientOf((await proxy(url)).address());
  const metadata = new grpc.Metadata();
  metadata.set("database", "d");
  metadata.set("authorization", "Bearer t");
  metadata.set("x-own-bin", Buffer.from([0, 255]));
  const { reply, trailers, error } = await one(client, "ab", metadata);
  expect([reply, error, trailers.get("x-duration")]).toEqual(["abab", null, ["7"]]);
  const given = seen[0]?.metadata;
  expect(given?.get("database")).toEqual(["d"]);
  expect(given?.get("authorization")).toEqual(["Bearer t"]);
  expect(given?.get("x-own-bin")).toEqual([Buffer.from([0, 255])]);
  expect(given?.get("x-forwarded-for")).toEqual(["127.0.0.1"]);
});

test("a failure goes through with its code, its text and its trailers", async () => {
  const { url } = await database();
  const { error, trailers } = await one(clientOf((await proxy(url)).address()), "bad");
  expect([error?.code, error?.details]).toEqual([grpc.status.NOT_FOUND, "ж: no such table"]);
  expect(trailers.get("x-duration")).toEqual(["7"]);
});

test("streams of messages go through, both ways", async () => {
  const { url } = await database();
  const client = clientOf((await proxy(url)).address());
  let read = 0;
  const many = client.makeServerStreamRequest(SERVICE.many.path, bytes, bytes, Buffer.from("50"));
  for await (const message of many) read += (message as Buffer).length;
  expect(read).toBe(50 * CHUNK.length);
  const counted = await new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest<Buffer, Buffer>(
      SERVICE.count.path,
      bytes,
      bytes,
      (error, answer) => (error === null ? resolve(answer?.toString()) : reject(error)),
    );
    for (let i = 0; i < 30; i++) call.write(CHUNK);
    call.end();
  });
  expect(counted).toBe(String(30 * CHUNK.length));
});

test("who does not read holds up the database, and no other client", async () => {
  const { url, seen } = await database();
  const address = (await proxy(url)).address();
  const session = connectHttp2(`http://${address}`);
  cleanups.push(() => session.destroy());
  const idle = session.request({
    ":path": SERVICE.many.path,
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
  });
  idle.on("error", () => {});
  idle.end(framed(Buffer.from("500")));
  await once(idle, "response");
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(seen[0]?.sent).toBeLessThan(50);
  expect((await one(clientOf(address), "ab")).reply).toBe("abab");
  idle.close();
  await until(() => seen[0]?.cancelled === true);
});

test("a database that is not there, or takes no gRPC: UNAVAILABLE with its address and the option", async () => {
  const { error } = await one(clientOf((await proxy("http://127.0.0.1:1")).address()), "ab");
  expect([error?.code, error?.details]).toEqual([
    grpc.status.UNAVAILABLE,
    expect.stringMatching(
      /127\.0\.0\.1:1 \(receivers\.x\.query_upstream\) does not answer.*is it running/,
    ),
  ]);
  const plain = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "plain",
    onRequest: () => ({ status: 200 }),
  });
  await plain.start();
  cleanups.push(() => plain.stop(AbortSignal.timeout(100)));
  const other = await one(clientOf((await proxy(`http://${plain.address()}`)).address()), "ab");
  expect(other.error?.code).toBe(grpc.status.UNAVAILABLE);
});

test("a database that never answers is given up", async () => {
  const silent = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "silent",
    onRequest: () => ({ status: 200 }),
    onHttp2Stream: () => {},
  });
  await silent.start();
  cleanups.push(() => silent.stop(AbortSignal.timeout(100)));
  const server = await proxy(`http://${silent.address()}`, undefined, { silenceMs: 200 });
  const { error } = await one(clientOf(server.address()), "ab");
  expect([error?.code, error?.details]).toEqual([
    grpc.status.UNAVAILABLE,
    expect.stringContaining("took too long"),
  ]);
});

test("HTTP/2 that is no gRPC is told what to send", async () => {
  const { url } = await database();
  const session = connectHttp2(`http://${(await proxy(url)).address()}`);
  cleanups.push(() => session.destroy());
  const stream = session.request({ ":path": "/write", ":method": "POST" });
  stream.end("m v=1");
  const [head] = (await once(stream, "response")) as [Record<string, unknown>];
  expect(head[":status"]).toBe(505);
});

async function dial(address: string | undefined): Promise<Socket> {
  const [host = "", port = ""] = String(address).split(":");
  const socket = connect(Number(port), host);
  cleanups.push(() => socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test.each([
  [["PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"], "PUT 3"],
  [["P", "UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"], "PUT 3"],
  [
    ["P", "R", "OPFIND / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "a", "bc"],
    "PROPFIND 3",
  ],
  [["G", "ET / HTTP/1.1\r\nHost: x\r\n\r\n"], "GET 0"],
])("HTTP/1.1 on the same port, in pieces: %j", async (pieces, answer) => {
  const socket = await dial((await proxy("http://127.0.0.1:1")).address());
  socket.setNoDelay(true);
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [chunk] = (await once(socket, "data")) as [Buffer];
  expect(chunk.toString()).toMatch(new RegExp(`^HTTP/1.1 200 OK[^]*\r\n\r\n${answer}$`));
});

test("many requests on one connection, and pipelined", async () => {
  const address = (await proxy("http://127.0.0.1:1")).address();
  const socket = await dial(address);
  const request = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n${"x".repeat(900)}`;
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  for (let i = 0; i < 50; i++) socket.write(request.repeat(4));
  while (text.split("POST 900").length <= 200) await once(socket, "data");
  expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(200);
});

test("who says nothing, or stops in the middle of the preface, is cut in time", async () => {
  const address = (await proxy("http://127.0.0.1:1")).address();
  const isCut = async (said: string) => {
    const socket = await dial(address);
    socket.write(said);
    await once(socket, "close");
  };
  await Promise.all(["", "P", "PR"].map(isCut));
});

test("a stop ends connections that say nothing, and those of HTTP/2", async () => {
  const { url } = await database();
  const server = await proxy(url);
  const silent = await dial(server.address());
  expect((await one(clientOf(server.address()), "ab")).reply).toBe("abab");
  const ended = once(silent, "close");
  await server.stop(AbortSignal.timeout(200));
  await ended;
});

const TLS = {
  cert_file: pemPath("server"),
  key_file: pemPath("server.key"),
};
const log = { debug() {}, info() {}, warn() {}, error() {} };
function serverTls(): ServerTls {
  const { tls } = z.strictObject({ tls: tlsServer }).parse({ tls: TLS });
  if (tls === undefined) throw new Error("no block");
  return new ServerTls(tls, { id: "x", log });
}

test("with TLS, gRPC gets h2, and whoever also speaks HTTP/1.1 gets that", async () => {
  const { url } = await database();
  const server = await proxy(url, serverTls());
  const secure = grpc.credentials.createSsl(Buffer.from(pem("ca")));
  expect((await one(clientOf(server.address(), secure), "ab")).reply).toBe("abab");
  const [host, port] = String(server.address()).split(":");
  for (const [offered, chosen] of [
    [["h2", "http/1.1"], "http/1.1"],
    [["h2"], "h2"],
    [["http/1.1"], "http/1.1"],
    [undefined, false],
  ] as const) {
    const socket = connectTls({
      host,
      port: Number(port),
      ca: pem("ca"),
      servername: "localhost",
      ...(offered !== undefined && { ALPNProtocols: [...offered] }),
    });
    cleanups.push(() => socket.destroy());
    await once(socket, "secureConnect");
    expect(socket.alpnProtocol).toBe(chosen);
    if (chosen === "h2") continue;
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const [chunk] = (await once(socket, "data")) as [Buffer];
    expect(chunk.toString()).toMatch(/GET 0$/);
  }
});
