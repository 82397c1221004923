import { once } from "node:events";
import { constants } from "node:http2";
import { connect } from "node:net";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Budget, createBudget } from "../../../src/kit/budget.ts";
import type { UnaryMethod } from "../../../src/kit/server/grpc-call.ts";
import {
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
} from "../../../src/kit/server/grpc-server.ts";
import { parseGrpcTimeout, trailersOf } from "../../../src/kit/server/grpc-status.ts";
import { PipelineError } from "../../../src/otlp/status.ts";
import { SLACK } from "../../../src/wire/slack.ts";
import { ownMs } from "../../support/core-waits.ts";
import { cpuMs } from "../../support/cpu.ts";
import { GrpcClient } from "../../support/grpc-client.ts";
import { dial, readAll } from "../../support/otlp-door.ts";
import { ended, framed, RawGrpc } from "../../support/raw-grpc.ts";
import { snappyFramed } from "../../support/snappy.ts";
import { until } from "../../support/until.ts";

const MIB = 1024 * 1024;
const PATH = "/test.Service/Method";

let budget: Budget;
let server: GrpcServer;
let raw: RawGrpc;
let unhandled: (number | undefined)[];
let troubles: Error[];

beforeEach(() => {
  budget = createBudget(64 * MIB);
  unhandled = [];
  troubles = [];
});
afterEach(async () => {
  raw.close();
  await server.stop(AbortSignal.timeout(1_000));
  expect(budget.used, "every lease is given back").toBe(0);
});

/** Echoes its message. */
async function serve(
  options: Partial<GrpcServerOptions> = {},
  handle: UnaryMethod["handle"] = async ({ bytes, length }) => bytes.slice(0, length),
): Promise<string> {
  const method: UnaryMethod = {
    admit: (bytes) =>
      budget.take(bytes) ?? { kind: "refused", retryAfterMs: 1_000, why: "budget is full" },
    handle,
    onUnhandled: (failure) => unhandled.push(failure?.code),
  };
  server = createGrpcServer({
    endpoint: "127.0.0.1:0",
    what: "test server",
    methods: new Map([[PATH, method]]),
    maxRecvMsgSizeBytes: 4 * MIB,
    onTrouble: (error) => troubles.push(error),
    ...options,
  });
  await server.start();
  const address = server.address() as string;
  raw = new RawGrpc(address);
  return address;
}

test.each([0, 1, 5, 16_384, 65_536, 70_000, 4 * MIB])(
  "a message of %d bytes comes back",
  async (size) => {
    const client = new GrpcClient(await serve(), { "grpc.max_receive_message_length": -1 });
    const message = new Uint8Array(size).fill(7);
    const { code, reply } = await client.call(PATH, message);
    expect([code, Buffer.from(reply).equals(message)]).toEqual([0, true]);
    client.close();
  },
);

test("the message has slack behind it and a lease of its size", async () => {
  await serve({}, async ({ bytes, length }, lease) => {
    expect(bytes.buffer.byteLength - bytes.byteOffset).toBeGreaterThanOrEqual(length + SLACK);
    expect(lease.bytes).toBe(length);
    return new Uint8Array(0);
  });
  const { status, body, headers } = await raw.send(PATH, framed(new Uint8Array(100)));
  expect([status, [...body], headers["content-type"]]).toEqual([
    "0",
    [0, 0, 0, 0, 0],
    "application/grpc",
  ]);
});

test("O1: compressed messages: gzip, zstd, deflate and snappy; the flag without an encoding is an error", async () => {
  await serve();
  const text = Buffer.from("hello ".repeat(100));
  for (const [name, compress] of [
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
    ["deflate", deflateSync],
    ["snappy", (bytes: Uint8Array) => snappyFramed(bytes, () => 0)],
  ] as const) {
    const { status, body } = await raw.send(PATH, framed(compress(text), 1), {
      "grpc-encoding": name,
    });
    expect([status, body.subarray(5).equals(text)]).toEqual(["0", true]);
    const plain = await raw.send(PATH, framed(text), { "grpc-encoding": name });
    expect([plain.status, plain.body.subarray(5).equals(text)]).toEqual(["0", true]);
  }
  expect((await raw.send(PATH, framed(gzipSync(text), 1))).status).toBe("13");
  expect((await raw.send(PATH, framed(text, 2))).status).toBe("13");
  const unknown = await raw.send(PATH, framed(text), { "grpc-encoding": "br" });
  expect([unknown.status, unknown.headers["grpc-accept-encoding"]]).toEqual([
    "12",
    "identity, gzip, zstd, deflate, snappy",
  ]);
  expect((await raw.send(PATH, framed(text, 1), { "grpc-encoding": "gzip" })).status).toBe("3");
});

test("S2: bombs are RESOURCE_EXHAUSTED", async () => {
  await serve();
  const bomb = gzipSync(Buffer.alloc(64 * MIB));
  const { status, headers } = await raw.send(PATH, framed(bomb, 1), { "grpc-encoding": "gzip" });
  expect([status, headers["grpc-status-details-bin"]]).toEqual(["8", undefined]);
  expect(unhandled).toEqual([8]);
});

test("too large: refused from the prefix alone, without RetryInfo, before a lease is taken", async () => {
  await serve();
  const stream = raw.open(PATH);
  stream.write(framed(new Uint8Array(0), 0, 4 * MIB + 1));
  const { status, headers, message } = await ended(stream);
  expect([status, headers["grpc-status-details-bin"]]).toEqual(["8", undefined]);
  expect(message).toContain(String(4 * MIB));
  const huge = raw.open(PATH);
  huge.write(framed(new Uint8Array(0), 0, 2 ** 32 - 1));
  expect((await ended(huge)).status).toBe("8");
});

test("O9: a full budget is UNAVAILABLE with RetryInfo, from the prefix alone", async () => {
  await serve();
  using hold = budget.take(63.5 * MIB);
  const stream = raw.open(PATH);
  stream.write(framed(new Uint8Array(0), 0, 2 * MIB));
  const { status, headers, message } = await ended(stream);
  expect([status, message]).toEqual(["14", "budget is full"]);
  const details = Buffer.from(String(headers["grpc-status-details-bin"]), "base64").toString(
    "latin1",
  );
  expect(details).toContain("google.rpc.RetryInfo");
  expect(budget.used).toBe(hold?.bytes);
});

test("a thousand refused messages leave the connection usable", async () => {
  const client = new GrpcClient(await serve());
  const hold = budget.take(64 * MIB);
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 100 }, () => client.call(PATH, new Uint8Array(37_000)));
    for (const { code } of await Promise.all(calls)) expect(code).toBe(14);
  }
  hold?.[Symbol.dispose]();
  expect((await client.call(PATH, new Uint8Array(1_000_000))).code).toBe(0);
  client.close();
});

test("calls without a message, with half of one and with two are INVALID_ARGUMENT", async () => {
  await serve();
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from([0, 0]),
    framed(Buffer.from("abc"), 0, 10),
    Buffer.concat([framed(Buffer.from("abc")), framed(Buffer.from("def"))]),
    Buffer.concat([framed(Buffer.alloc(0)), Buffer.from([0])]),
  ]) {
    const { status, message } = await raw.send(PATH, bytes);
    expect(status).toBe("3");
    expect(message).toMatch(/message/);
  }
  expect(unhandled).toEqual([3, 3, 3, 3, 3]);
});

test("S3: one-byte DATA frames fill one buffer", async () => {
  await serve();
  const message = Buffer.alloc(3_000, 9);
  const bytes = framed(message);
  const stream = raw.open(PATH);
  for (const byte of bytes) {
    stream.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  stream.end();
  const { status, body } = await ended(stream);
  expect([status, body.subarray(5).equals(message)]).toEqual(["0", true]);
});

test("what is not gRPC is answered in HTTP's terms", async () => {
  const address = await serve();
  expect(
    (await raw.send(PATH, framed(new Uint8Array(1)), { "content-type": "text/plain" })).headers[
      ":status"
    ],
  ).toBe(415);
  expect(
    (await raw.send(PATH, framed(new Uint8Array(1)), { "content-type": "application/grpc-web" }))
      .headers[":status"],
  ).toBe(415);
  expect(
    (await raw.send(PATH, framed(new Uint8Array(1)), { "content-type": "application/grpc+proto" }))
      .status,
  ).toBe("0");
  expect(
    (await raw.send(PATH, framed(new Uint8Array(1)), { ":method": "PUT" })).headers[":status"],
  ).toBe(405);
  for (const path of ["/test.Service/Other", "/", "//test.Service/Method", "/__proto__"])
    expect((await raw.send(path, framed(new Uint8Array(1)))).status).toBe("12");
  const slashless = await raw.send("test.Service/Method", framed(new Uint8Array(1)));
  expect([slashless.status, slashless.rstCode]).toEqual([
    undefined,
    constants.NGHTTP2_PROTOCOL_ERROR,
  ]);
  const http1 = await dial(address);
  http1.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  await readAll(http1);
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
});

test("a stranger is told what this port takes: at the end of its request, or when it has sent 64 KiB", async () => {
  await serve();
  const strange = { "content-type": "text/plain" };
  const { body } = await raw.send(PATH, Buffer.from("hello"), strange);
  expect(body.toString()).toBe("this port takes gRPC: POST with content-type application/grpc\n");
  const endless = raw.open(PATH, strange);
  endless.write(Buffer.alloc(70_000));
  const [headers] = (await once(endless, "response")) as [Record<string, unknown>];
  expect(headers[":status"]).toBe(415);
  endless.close(constants.NGHTTP2_CANCEL);
  await server.stop(AbortSignal.timeout(1_000));
  await serve({ requestTimeoutMs: 100 });
  const silent = await ended(raw.open(PATH, strange));
  expect(silent.headers[":status"]).toBe(415);
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
});

test("methods refuse with their own status; what they throw unforeseen is INTERNAL and not told", async () => {
  let thrown: unknown = new Error("secret");
  await serve({}, () => Promise.reject(thrown));
  const internal = await raw.send(PATH, framed(new Uint8Array(1)));
  expect([internal.status, internal.message]).toEqual(["13", "internal error"]);
  expect(troubles.map((error) => error.message)).toEqual(["secret"]);
  thrown = new PipelineError({ kind: "unavailable", retryAfterMs: 0, why: "stopping: 100 % é\n" });
  const refused = await raw.send(PATH, framed(new Uint8Array(1)));
  expect([refused.status, refused.message]).toEqual(["14", "stopping: 100 % é\n"]);
  expect(unhandled).toEqual([]);
});

test("grpc-timeout: the answer is DEADLINE_EXCEEDED, and a message that is still coming is dropped", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await serve({}, async () => {
    await gate;
    return new Uint8Array(0);
  });
  const slow = await raw.send(PATH, framed(new Uint8Array(1)), { "grpc-timeout": "60m" });
  expect([slow.status, budget.used]).toEqual(["4", 1]);
  finish();
  await until(() => budget.used === 0);
  const partial = raw.open(PATH, { "grpc-timeout": "60m" });
  partial.write(framed(new Uint8Array(10), 0, 100));
  expect((await ended(partial)).status).toBe("4");
  expect(budget.used).toBe(0);
});

test("S7: a message that does not arrive in time is given up", async () => {
  await serve({ requestTimeoutMs: 200 });
  const stream = raw.open(PATH);
  stream.write(framed(new Uint8Array(10), 0, 1_000_000));
  await until(() => budget.used === 1_000_000);
  const { status } = await ended(stream);
  expect([status, budget.used, unhandled]).toEqual(["4", 0, [4]]);
});

test("S9: a reset or a lost connection at any point gives the lease back", async () => {
  const address = await serve();
  const bytes = framed(new Uint8Array(40));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const stream = raw.open(PATH);
    stream.write(bytes.subarray(0, cut));
    if (cut % 3 === 0) await new Promise(setImmediate);
    stream.close(constants.NGHTTP2_CANCEL);
    const other = new RawGrpc(address);
    other.open(PATH).write(bytes.subarray(0, cut));
    if (cut % 2 === 0) await once(other.session, "connect");
    other.close();
  }
  await until(() => budget.used === 0);
  expect((await raw.send(PATH, bytes)).status).toBe("0");
  expect(troubles).toEqual([]);
});

test("S9: garbage in place of frames, at every early byte, ends only its own connection", async () => {
  const address = await serve();
  const preface = Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    Buffer.from([0, 0, 5, 1, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff]),
  ]);
  for (let at = 0; at < preface.length; at += 2) {
    const bytes = Buffer.from(preface);
    bytes[at] = (bytes[at] as number) ^ 0xff;
    const socket = await dial(address);
    socket.write(bytes);
    setTimeout(() => socket.destroy(), 20);
  }
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
  expect(troubles).toEqual([]);
});

test("S4: rapid reset ends with the connection, cheaply, and others are served", async () => {
  const address = await serve();
  const attacker = new RawGrpc(address);
  await once(attacker.session, "connect");
  const isCut = () => attacker.session.closed || attacker.session.destroyed;
  const attack = async () => {
    for (let i = 0; i < 5_000 && !isCut(); i++) {
      attacker.open(PATH).close(constants.NGHTTP2_CANCEL);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    await until(isCut);
  };
  expect(await cpuMs(attack)).toBeLessThan(4_000);
  attacker.close();
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
});

test("streams above the limit wait or are refused, and none is lost", async () => {
  const client = new GrpcClient(await serve({ maxConcurrentStreams: 5 }));
  const calls = await Promise.all(
    Array.from({ length: 100 }, () => client.call(PATH, new Uint8Array(10))),
  );
  expect(calls.filter(({ code }) => code === 0)).toHaveLength(100);
  client.close();
});

test("connections above the limit are closed", async () => {
  const address = await serve({ maxConnections: 1 });
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
  const extra = await dial(address);
  expect(await readAll(extra)).toBe("");
});

test("idle and old connections are closed with GOAWAY, calls in flight finish", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const address = await serve({ maxAgeMs: 200, maxIdleMs: 10_000 }, async () => {
    await gate;
    return new Uint8Array(0);
  });
  const call = raw.send(PATH, framed(new Uint8Array(1)));
  await once(raw.session, "goaway");
  finish();
  expect((await call).status).toBe("0");
  if (!raw.session.destroyed) await once(raw.session, "close");
  await server.stop(AbortSignal.timeout(1_000));
  await serve({ maxIdleMs: 100 });
  await once(raw.session, "close");
  expect(server.address()).not.toBe(address);
});

test("a client that does not close its side after GOAWAY is cut; 0 is no limit of age", async () => {
  const address = await serve({ maxIdleMs: 100, maxAgeMs: 0 });
  const stubborn = connect({ port: Number(address.split(":")[1]), allowHalfOpen: true });
  stubborn.on("error", () => {});
  stubborn.resume();
  stubborn.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]),
  );
  await once(stubborn, "end");
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  // The first write meets a connection that is gone, and is answered with a reset; the next one learns of it.
  const gone = expect(once(stubborn, "close")).rejects.toThrow(/EPIPE|ECONNRESET/);
  stubborn.write(Buffer.alloc(10));
  await new Promise((resolve) => setTimeout(resolve, 200));
  stubborn.write(Buffer.alloc(10));
  await gone;
});

test("keepalive: a client that does not answer pings is cut off, one that answers is not", async () => {
  const address = await serve({ pings: { everyMs: 50, timeoutMs: 1_000 } });
  const mute = await dial(address);
  mute.resume();
  mute.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]),
  );
  await once(mute, "close");
  expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
  expect(raw.session.destroyed).toBe(false);
});

test("keepalive: who pings too often is sent away; answered calls and the allowed rate forgive", async () => {
  const address = await serve({ enforcedPings: { minMs: 10_000, withoutCalls: true } });
  const ping = (from: RawGrpc) =>
    new Promise<void>((resolve) => {
      from.session.ping(() => resolve());
    });
  for (let round = 0; round < 6; round++) {
    await ping(raw);
    await ping(raw);
    expect((await raw.send(PATH, framed(new Uint8Array(1)))).status).toBe("0");
  }
  const chatty = new RawGrpc(address);
  await once(chatty.session, "connect");
  const gone = once(chatty.session, "goaway");
  for (let i = 0; i < 4; i++) chatty.session.ping(() => {});
  const [code, , data] = (await gone) as [number, number, Buffer];
  expect([code, data.toString()]).toEqual([constants.NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings"]);
  chatty.close();
});

test("stop: GOAWAY, calls in flight finish, new connections are refused", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const address = await serve({}, async () => {
    await gate;
    return Buffer.from("late");
  });
  const call = raw.send(PATH, framed(new Uint8Array(1)));
  await until(() => budget.used === 1);
  const stopped = server.stop(AbortSignal.timeout(60_000));
  setTimeout(finish, 100);
  const { status, body } = await call;
  expect([status, body.subarray(5).toString()]).toEqual(["0", "late"]);
  await stopped;
  await expect(dial(address)).rejects.toThrow("ECONNREFUSED");
});

test("stop: the deadline cuts clients that do not close their side", async () => {
  const address = await serve();
  const stubborn = connect({ port: Number(address.split(":")[1]), allowHalfOpen: true });
  stubborn.resume();
  stubborn.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]),
  );
  await once(stubborn, "data");
  expect(await ownMs(() => server.stop(AbortSignal.timeout(200)))).toBeLessThan(1_500);
  stubborn.destroy();
});

test("stop: the deadline cuts calls that do not end", async () => {
  await serve({}, () => new Promise<Uint8Array>(() => {}));
  const stream = raw.open(PATH);
  stream.write(framed(new Uint8Array(10), 0, 100));
  await until(() => budget.used === 100);
  expect(await ownMs(() => server.stop(AbortSignal.timeout(200)))).toBeLessThan(1_500);
  await until(() => budget.used === 0);
});

test("timeouts and texts of the protocol", () => {
  expect(["1H", "2M", "3S", "4m", "5u", "6n"].map(parseGrpcTimeout)).toEqual([
    3_600_000, 120_000, 3_000, 4, 0.005, 6e-6,
  ]);
  for (const bad of [undefined, "", "S", "1", "-1S", "123456789S", "1x", "1S "])
    expect(parseGrpcTimeout(bad)).toBeUndefined();
  expect(trailersOf({ code: 3, message: "50% é\r\n~" })).toEqual({
    "grpc-status": "3",
    "grpc-message": "50%25 %C3%A9%0D%0A~",
  });
  expect(
    trailersOf({ code: 3, message: "\ud800".repeat(5_000) })["grpc-message"]?.length,
  ).toBeLessThan(10_000);
});
