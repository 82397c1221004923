import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HttpClientOptions, HttpPoster } from "../../../src/kit/client/http-answer.ts";
import { HttpClient, headerProblem } from "../../../src/kit/client/http-client.ts";
import { NodeHttpClient } from "../../../src/kit/client/node-http-client.ts";
import { parseRetryAfter } from "../../../src/kit/client/retry-after.ts";
import { ownMs } from "../../support/core-waits.ts";
import { type HttpSink, httpSink, type SinkAnswer } from "../../support/http-sink.ts";
import { freePorts } from "../../support/service.ts";

const never = new AbortController().signal;
const body = new TextEncoder().encode("m f=1 1\n");

/** A TCP server that behaves as told once a connection has sent something. */
async function rawServer(behave: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => behave(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Writes `chunk` for as long as the peer listens; returns the bytes written. */
function flood(socket: Socket, chunk: Buffer): { bytes: number } {
  const count = { bytes: 0 };
  const more = () => {
    while (!socket.destroyed) {
      count.bytes += chunk.length;
      if (!socket.write(chunk)) break;
    }
  };
  socket.on("drain", more);
  more();
  return count;
}

/** Two clients, one contract. */
const CLIENTS: readonly (readonly [string, (options: HttpClientOptions) => HttpPoster])[] = [
  ["HttpClient", (options) => new HttpClient(options)],
  ["NodeHttpClient", (options) => new NodeHttpClient(options)],
];

describe.each(CLIENTS)("%s", (_client, create) => {
  async function sinkAndClient(...script: readonly SinkAnswer[]) {
    const sink: HttpSink = await httpSink(...script);
    const client = clientOf(sink.url);
    onTestFinished(() => sink[Symbol.asyncDispose]());
    return { sink, client };
  }

  function clientOf(origin: string, connections = 2) {
    const client = create({ origin, connections, connectTimeoutMs: 10_000 });
    onTestFinished(() => client.close());
    return client;
  }

  test("posts bytes and headers, keeps the connection, and returns status and body", async () => {
    const { sink, client } = await sinkAndClient({
      status: 400,
      body: "no",
      headers: { "retry-after": "3", "content-type": "text/plain" },
    });
    for (let i = 0; i < 5; i++) {
      const answer = await client.post("/write?x=1", ["authorization", "Bearer t"], body, never);
      expect(answer).toMatchObject({ status: 400, retryAfter: "3", contentType: "text/plain" });
      expect("body" in answer && answer.body.toString()).toBe("no");
    }
    expect(sink.connections).toBe(1);
    expect(sink.requests[4]).toMatchObject({
      method: "POST",
      url: "/write?x=1",
      body: Buffer.from(body),
    });
    expect(sink.requests[4]?.headers).toMatchObject({
      authorization: "Bearer t",
      "content-length": "8",
    });
  });

  test("a header of the authenticator takes the place of a given one, however it is written", async () => {
    await using sink = await httpSink({ status: 204 });
    const auth = { headers: () => ["Authorization", "Bearer new"] };
    const client = create({ origin: sink.url, connections: 1, auth });
    onTestFinished(() => client.close());
    await client.post("/", ["AUTHORIZATION", "Bearer old", "x-a", "b"], body, never);
    expect(sink.requests[0]?.rawHeaders.filter((text) => /^auth|^bearer|^b$/i.test(text))).toEqual([
      "b",
      "Authorization",
      "Bearer new",
    ]);
  });

  test("opens no more connections than it may", async () => {
    const { sink, client } = await sinkAndClient({ status: 204, delayMs: 20 });
    await Promise.all(Array.from({ length: 12 }, () => client.post("/", [], body, never)));
    expect(sink.requests.length).toBe(12);
    expect(sink.mostOpen).toBeLessThanOrEqual(2);
    expect(sink.connections).toBeLessThanOrEqual(2);
  });

  test("follows no redirect", async () => {
    const { sink, client } = await sinkAndClient({ status: 307, headers: { location: "/again" } });
    expect(await client.post("/", ["authorization", "secret"], body, never)).toMatchObject({
      status: 307,
    });
    expect(sink.requests.length).toBe(1);
  });

  test("a hanging server ends with the signal, also during a TLS handshake without end", async () => {
    const { client } = await sinkAndClient({ does: "hang" });
    const tls = clientOf((await rawServer(() => {})).replace("http:", "https:"));
    const ends = async () => {
      expect(await client.post("/", [], body, AbortSignal.timeout(50))).toMatchObject({
        error: expect.stringMatching(/timeout/i),
      });
      expect(await tls.post("/", [], body, AbortSignal.timeout(50))).toHaveProperty("error");
      expect(await tls.post("/", [], body, AbortSignal.abort(new Error("stopped")))).toEqual({
        error: "stopped",
      });
    };
    expect(await ownMs(ends)).toBeLessThan(900);
  });

  test.each([
    ["reset", (socket: Socket) => socket.resetAndDestroy()],
    ["closed early", (socket: Socket) => socket.end()],
    [
      "half an answer",
      (socket: Socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
    ],
    ["not HTTP", (socket: Socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n")],
    [
      "bad length",
      (socket: Socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
    ],
  ])(
    "%s is an error value, and the next request works on a new connection",
    async (_name, behave) => {
      let first = true;
      const url = await rawServer((socket) => {
        if (first) behave(socket);
        else socket.write("HTTP/1.1 204 No Content\r\n\r\n");
        first = false;
      });
      const client = clientOf(url, 1);
      expect(await client.post("/", [], body, AbortSignal.timeout(60_000))).toHaveProperty("error");
      expect(await client.post("/", [], body, AbortSignal.timeout(60_000))).toMatchObject({
        status: 204,
      });
    },
  );

  test("nobody listening is an error value", async () => {
    const [port] = await freePorts(1);
    expect(await clientOf(`http://127.0.0.1:${port}`).post("/", [], body, never)).toMatchObject({
      error: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test("of a response without end, 64 KiB are kept and little more than 4 MiB read", async () => {
    let sent = { bytes: 0 };
    const url = await rawServer((socket) => {
      socket.write("HTTP/1.1 400 Bad\r\ncontent-length: 10737418240\r\n\r\n");
      sent = flood(socket, Buffer.alloc(64 << 10, "x"));
    });
    const answer = await clientOf(url).post("/", [], body, AbortSignal.timeout(60_000));
    expect(answer).toMatchObject({ status: 400 });
    expect("body" in answer && answer.body.length).toBe(64 << 10);
    expect(sent.bytes).toBeLessThan(16 << 20);
  });

  test("endless headers end at 16 KiB, endless 1xx answers and slow bytes with the signal", async () => {
    let sent = { bytes: 0 };
    const headers = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      sent = flood(
        socket,
        Buffer.from("x-evil: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(20)),
      );
    });
    expect(await clientOf(headers).post("/", [], body, AbortSignal.timeout(60_000))).toHaveProperty(
      "error",
    );
    expect(sent.bytes).toBeLessThan(16 << 20);
    const slow = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
      const timer = setInterval(() => socket.write("x"), 10);
      socket.on("close", () => clearInterval(timer));
    });
    expect(await clientOf(slow).post("/", [], body, AbortSignal.timeout(100))).toHaveProperty(
      "error",
    );
    const hints = await rawServer((socket) => {
      const timer = setInterval(() => socket.write("HTTP/1.1 103 Early Hints\r\n\r\n"), 1);
      socket.on("close", () => clearInterval(timer));
    });
    expect(await clientOf(hints).post("/", [], body, AbortSignal.timeout(100))).toHaveProperty(
      "error",
    );
  });

  test("an answer before the whole body was sent cuts the connection, so the memory may be reused", async () => {
    const got: Buffer[] = [];
    const url = await rawServer((socket) => {
      socket.pause();
      socket.write("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n");
      setTimeout(() => {
        socket.on("data", (chunk) => got.push(chunk));
        socket.resume();
      }, 50);
    });
    const large = new Uint8Array(24 << 20).fill(65);
    expect(await clientOf(url).post("/", [], large, never)).toMatchObject({ status: 413 });
    large.fill(66);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(Buffer.concat(got).includes(66)).toBe(false);
  });

  test("a header that HTTP does not know is an error value", async () => {
    const { client, sink } = await sinkAndClient({ status: 204 });
    expect(await client.post("/", ["x-a", "b\r\nx-c: d"], body, never)).toHaveProperty("error");
    expect(sink.requests).toEqual([]);
  });
});

test("the lean client refuses what it would leave out", () => {
  const origin = "https://127.0.0.1:1";
  const proxied = { origin, connections: 1, proxy: "http://proxy:3128" };
  expect(() => new NodeHttpClient(proxied)).toThrow("use HttpClient");
  expect(() => new NodeHttpClient({ ...proxied, proxy: "" })).not.toThrow();
});

test.each([
  ["x-tenant", "a|b", undefined],
  ["x tenant", "a", /not a header name/],
  ["", "a", /not a header name/],
  ["x-a", "b\r\nc: d", /line break/],
  ["x-a", "\u0000", /line break/],
  ["x-a", "日", /does not allow/],
])("header %j: %j", (name, value, problem) => {
  const said = headerProblem(name, value);
  if (problem === undefined) expect(said).toBeUndefined();
  else {
    expect(said).toMatch(problem);
    if (value.length > 3) expect(said).not.toContain(value);
  }
});

test.each([
  ["0", 0],
  ["120", 120_000],
  [" 3 ", 3_000],
  ["0.5", 500],
  ["Fri, 31 Dec 1999 23:59:59 GMT", 10_000],
  ["Fri, 31 Dec 1999 23:59:39 GMT", 0],
  ["-5", undefined],
  ["soon", undefined],
  ["1e9", undefined],
  ["", undefined],
  [undefined, undefined],
])("Retry-After %j", (text, ms) => {
  expect(parseRetryAfter(text, Date.UTC(1999, 11, 31, 23, 59, 49))).toBe(ms);
});
