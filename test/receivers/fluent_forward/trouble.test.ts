import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encode } from "@msgpack/msgpack";
import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import { JSON_MAX } from "../../../src/receivers/fluent_forward/connection.ts";
import { CHUNK_MAX } from "../../../src/receivers/fluent_forward/message.ts";
import type { ReceiverRig } from "../../support/receiver-rig.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll, until } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
const good = (log: string, chunk?: string) =>
  encode(["t", T, { log }, chunk === undefined ? {} : { chunk }]);
const bodies = (rig: ReceiverRig) => stored(rig).map(({ body }) => body);
const outcome = (rig: ReceiverRig, name: string) =>
  rig.counts.get(`weir_receiver_requests_total fluent_forward tcp ${name}`) ?? 0;
const nap = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a bad message costs itself, and is acknowledged: its sender would send it for ever", () => {
  const BAD: Record<string, readonly [message: unknown, why: RegExp]> = {
    "a tag that is no text": [[7, T, { log: "x" }, { chunk: "b" }], /tag of a message is no text/],
    "a time that is true": [["t", true, { log: "x" }, { chunk: "b" }], /time of a message is none/],
    "a record that is no map": [["t", T, [1], { chunk: "b" }], /record of a message is no map/],
    "an unknown compression": [["t", Buffer.alloc(3), { compressed: "lzo", chunk: "b" }], /lzo/],
    "damaged gzip": [["t", gzipSync("x").subarray(4), { compressed: "gzip", chunk: "b" }], /gzip/],
    "damaged zstd": [["t", Buffer.alloc(30), { compressed: "zstd", chunk: "b" }], /zstd/],
    "zstd that is cut off": [
      ["t", zstdCompressSync("x".repeat(99)).subarray(0, 12), { compressed: "zstd", chunk: "b" }],
      /cut off/,
    ],
    "entries that are cut off": [
      ["t", encode([T, { log: "x" }]).subarray(0, 9), { chunk: "b" }],
      /cut off|neither/,
    ],
  };
  test.each(Object.entries(BAD))("%s", async (_what, [message, why]) => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(good("a", "a"), encode(message), good("c", "c"));
    const acks = await sender.acks(3);
    expect(acks.at(0)).toBe("a");
    expect(acks.at(-1)).toBe("c");
    expect(bodies(rig)).toEqual(["a", "c"]);
    expect(rig.lost).toBe(1);
    expect(rig.rejected[0]?.why).toMatch(why);
    expect(rig.said.join()).toContain("records were rejected");
  });

  test("without a chunk, too; lists that are no messages, options that are none", async () => {
    const { rig, port } = await start();
    new Sender(port).send(
      encode([]),
      encode(["t"]),
      encode(["t", T]),
      encode(["t", T, { log: "x" }, 7]),
      encode(["t", "x", { log: "x" }]),
      good("a"),
    );
    await until(() => rig.items === 1);
    expect(rig.lost).toBe(5);
  });

  test("bad entries between good ones", async () => {
    const { rig, port } = await start();
    const deep = JSON.parse(`${"[".repeat(70)}${"]".repeat(70)}`) as unknown;
    const sender = new Sender(port).send(
      encode([
        "t",
        [
          [T, { log: "a" }],
          [T, { log: "b", deep }],
          5,
          [T, 6],
          ["x", { log: "c" }],
          [T, { log: "d" }],
        ],
        { chunk: "k" },
      ]),
    );
    expect(await sender.acks(1)).toEqual(["k"]);
    expect(bodies(rig).at(0)).toBe("a");
    expect(bodies(rig).at(-1)).toBe("d");
    expect(bodies(rig)).not.toContain("b");
    expect(rig.lost).toBeGreaterThanOrEqual(3);
  });

  test(`a chunk id of more than ${CHUNK_MAX} bytes`, async () => {
    const { rig, port } = await start();
    const longest = "x".repeat(CHUNK_MAX);
    const sender = new Sender(port).send(good("a", `${longest}y`), good("b", longest));
    expect(await sender.acks(1)).toEqual([longest]);
    expect([rig.items, rig.lost]).toEqual([1, 1]);
  });

  test("the acknowledgement has the chunk as its sender wrote it", async () => {
    const { port } = await start();
    const folder = join(import.meta.dirname, "..", "..", "fixtures", "seeds", "forward");
    const sender = new Sender(port).send(readFileSync(join(folder, "docker-message-ack.msgpack")));
    const expected = readFileSync(join(folder, "docker-message-ack.expected-response.msgpack"));
    await until(() => sender.told.length >= expected.length);
    expect(sender.told).toEqual(expected);
    const bytes = new Sender(port).send(
      encode(["t", T, { log: "x" }, { chunk: Buffer.from("k") }]),
    );
    await until(() => bytes.told.length > 0);
    expect(bytes.told.toString("hex")).toBe("81a361636bc4016b");
  });
});

test("metrics and traces are counted, acknowledged and said; the connection goes on", async () => {
  const { rig, port } = await start();
  const sender = new Sender(port).send(
    encode(["m", Buffer.from("cmetrics"), { fluent_signal: 1, chunk: "m" }]),
    encode(["tr", Buffer.from("ctraces"), { fluent_signal: 2, chunk: "t" }]),
    encode(["m", Buffer.from("cmetrics"), { fluent_signal: 1 }]),
    good("a", "a"),
  );
  expect(await sender.acks(3)).toEqual(["m", "t", "a"]);
  expect(bodies(rig)).toEqual(["a"]);
  expect(outcome(rig, "unimplemented")).toBe(3);
  expect(rig.said.join()).toContain("receiver otlp");
});

describe("what nobody could read on ends the connection; what was whole before is stored", () => {
  test.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "0x47"],
    ["TLS", Buffer.of(0x16, 3, 1, 0, 0), "speaks TLS"],
    ["a byte that is no MessagePack", Buffer.of(0x93, 0xc1), "no MessagePack"],
    ["a map", encode({ a: 1 }), "0x81"],
  ])("%s", async (_what, sent, why) => {
    const { rig, port } = await start();
    const alone = new Sender(port).send(sent);
    alone.socket.on("end", () => alone.socket.end());
    await alone.closed;
    expect(outcome(rig, "invalid")).toBe(1);
    expect(rig.said.join()).toContain(why);
    const sender = new Sender(port).send(good("a", "k"), sent);
    sender.socket.on("end", () => sender.socket.end());
    await sender.closed;
    expect(sender.answers()).toEqual([{ ack: "k" }]);
    expect(bodies(rig)).toEqual(["a"]);
  });

  test("JSON that begins with something else", async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(Buffer.from(`["t",${T},{"log":"a"}] x`));
    sender.socket.on("end", () => sender.socket.end());
    await sender.closed;
    expect(bodies(rig)).toEqual(["a"]);
    expect(rig.said.join()).toContain("no JSON message begins with");
  });

  test("a message that does not end: the sender left", async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(good("a"), good("b").subarray(0, 6));
    await until(() => rig.items === 1);
    sender.socket.end();
    await sender.closed;
    expect(outcome(rig, "gone")).toBe(1);
  });
});

describe("limits", () => {
  test("max_message_size: a message up to it is taken, a longer one costs its connection, as does ten times as much", async () => {
    const { rig, port } = await start({ max_message_size: 2_000 });
    const fits = encode(["t", T, { log: "x".repeat(1_900) }]);
    const sender = new Sender(port).send(fits, fits);
    await until(() => rig.items === 2);
    for (const size of [2_100, 20_000]) {
      const long = new Sender(port).send(
        encode(["t", T, { log: "x".repeat(size) }]).subarray(0, -1),
      );
      long.socket.on("end", () => long.socket.end());
      await long.closed;
    }
    expect(outcome(rig, "too_large")).toBe(2);
    expect(rig.said.join()).toContain("raise max_message_size");
    sender.send(fits);
    await until(() => rig.items === 3);
  });

  test("after decompression, too; that costs the message", async () => {
    const { rig, port } = await start({ max_message_size: 2_000 });
    const large = encode([T, { log: "x".repeat(20_000) }]);
    const sender = new Sender(port).send(
      encode(["t", gzipSync(large), { compressed: "gzip", chunk: "1" }]),
      encode(["t", zstdCompressSync(large), { compressed: "zstd", chunk: "2" }]),
      good("a", "3"),
    );
    expect(await sender.acks(3)).toEqual(["1", "2", "3"]);
    expect([rig.items, rig.lost]).toEqual([1, 2]);
    expect(rig.rejected[0]?.why).toContain("limit of 2000 bytes");
  });

  test(`JSON messages of more than ${JSON_MAX} bytes cost their connection`, async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(Buffer.from(`["t",1,{"log":"${"x".repeat(JSON_MAX)}`));
    sender.socket.on("end", () => sender.socket.end());
    await sender.closed;
    expect(outcome(rig, "too_large")).toBe(1);
  });

  test("white space between JSON messages is no message", async () => {
    const { rig, port } = await start({ max_message_size: 2_000 });
    const sender = new Sender(port).send(Buffer.from(`["t",1,{"log":"a"}]${" ".repeat(10_000)}`));
    await until(() => rig.items === 1);
    sender.send(Buffer.from(`${"\n".repeat(10_000)}["t",1,{"log":"b"}]`));
    await until(() => rig.items === 2);
    expect(rig.budget.used).toBe(0);
  });

  test("max_connections", async () => {
    const { rig, port } = await start({ max_connections: 1 });
    const first = new Sender(port).send(good("a", "k"));
    await first.acks(1);
    await new Sender(port).closed;
    expect(outcome(rig, "refused")).toBe(1);
    first.send(good("b", "l"));
    await first.acks(2);
  });

  test("read_timeout: who takes too long for a message is cut, be it by silence or by drops", async () => {
    const { rig, port } = await start({ read_timeout: "300ms" });
    const silent = new Sender(port).send(good("a").subarray(0, 5));
    const drops = new Sender(port).send(Uint8Array.of(0xdc, 0xff, 0xff));
    const dropping = setInterval(() => drops.send(Uint8Array.of(0)), 40);
    drops.socket.on("end", () => drops.socket.end());
    await Promise.all([silent.closed, drops.closed]);
    clearInterval(dropping);
    await until(() => outcome(rig, "invalid") === 2);
    expect(rig.said.join()).toContain("read_timeout");
  });

  test("idle_timeout: only who sends nothing is closed, and only where it is set", async () => {
    const idle = await start({ idle_timeout: "100ms" });
    const forEver = await start();
    const [a, b] = [new Sender(idle.port), new Sender(forEver.port)];
    a.send(good("a", "k"));
    await a.acks(1);
    await a.closed;
    expect(b.isClosed).toBe(false);
    expect(idle.rig.said).toEqual([]);
  });
});

describe("back-pressure", () => {
  test("a full pipeline: nothing is acknowledged, nothing more is read, nothing is lost", async () => {
    const { rig, port } = await start();
    const full = { kind: "refused", retryAfterMs: 20, why: "the queue is full" } as const;
    rig.refusals.push(full, full, full);
    const sender = new Sender(port);
    for (let n = 0; n < 50; n++) sender.send(good(`${n}`, `${n}`));
    await sender.acks(50);
    expect(bodies(rig)).toEqual(Array.from({ length: 50 }, (_, n) => `${n}`));
    expect(outcome(rig, "refused")).toBeGreaterThan(0);
    expect(rig.rejected).toEqual([]);
  });

  test("an acknowledgement waits until the records are durable", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port).send(good("a", "k"));
    await nap(50);
    expect(sender.told.length).toBe(0);
    resolve();
    expect(await sender.acks(1)).toEqual(["k"]);
  });

  test("while nothing is taken, the socket is not read", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port);
    const part = encode(["t", T, { log: "x".repeat(100_000) }, { chunk: "k" }]);
    for (let n = 0; n < 200; n++) sender.socket.write(part);
    await nap(200);
    expect(sender.socket.writableLength).toBeGreaterThan(0);
    expect(rig.budget.used).toBeLessThan(1 << 20);
    resolve();
    expect(await sender.acks(200)).toHaveLength(200);
    expect(rig.items).toBe(200);
  });

  test("a sender that is gone before its acknowledgement: its records are stored, nobody is disturbed", async () => {
    const { rig, port } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port).send(good("a", "k"));
    await nap(30);
    sender.socket.resetAndDestroy();
    await sender.closed;
    resolve();
    await until(() => rig.items === 1);
    const other = new Sender(port).send(good("b", "l"));
    expect(await other.acks(1)).toEqual(["l"]);
    expect(rig.said).toEqual([]);
  });

  test("a stop: what is refused then is not acknowledged; who waits for no acknowledgement has lost it, which is counted", async () => {
    const { rig, port, receiver } = await start();
    rig.submitting = async () => {
      throw new PipelineError({ kind: "unavailable", retryAfterMs: 60_000, why: "disk full" });
    };
    const [waiting, forgetting] = [new Sender(port), new Sender(port)];
    waiting.send(good("a", "k"));
    forgetting.send(good("b"), good("c"));
    await until(() => outcome(rig, "unavailable") === 2);
    await receiver.stop(AbortSignal.timeout(2_000));
    await waiting.closed;
    expect([waiting.told.length, rig.items, rig.lost]).toEqual([0, 0, 2]);
    expect(rig.said.join()).toContain("messages were lost");
  });

  test("a stop while there is no room: what was read and not taken is said", async () => {
    const { rig, port, receiver } = await start();
    const full = { kind: "refused", retryAfterMs: 60_000, why: "full" } as const;
    rig.refusals.push(full, full);
    const sender = new Sender(port).send(good("a", "k"));
    await until(() => outcome(rig, "refused") === 1);
    await receiver.stop(AbortSignal.timeout(2_000));
    await sender.closed;
    expect(sender.told.length).toBe(0);
    expect(rig.said.join()).toContain("weir stops");
  });

  test("a stop does not wait longer than it may", async () => {
    const { rig, port, receiver } = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.submitting = () => promise;
    const sender = new Sender(port).send(good("a", "k"));
    await until(() => rig.budget.used > 0);
    await receiver.stop(AbortSignal.timeout(100));
    expect(sender.told.length).toBe(0);
    resolve();
    await until(() => rig.budget.used === 0);
  });

  test("a failure inside weir: no acknowledgement, the connection ends, an operator is told", async () => {
    const { rig, port } = await start();
    rig.submitting = async () => {
      throw new Error("disk on fire");
    };
    const sender = new Sender(port).send(good("a", "k"));
    sender.socket.on("end", () => sender.socket.end());
    await sender.closed;
    expect(sender.told.length).toBe(0);
    expect(rig.said.join()).toContain("disk on fire");
  });
});

describe("listening", () => {
  test("a heartbeat over UDP is answered", async () => {
    const { port } = await start();
    const socket = createSocket("udp4");
    socket.send(Uint8Array.of(0), port, "127.0.0.1");
    const [answer] = (await once(socket, "message")) as [Buffer];
    socket.close();
    expect([...answer]).toEqual([0]);
  });

  test("over TLS, and a client without it is told in the log", async () => {
    const folder = join(import.meta.dirname, "..", "..", "fixtures", "tls");
    const cert = join(folder, "server.pem");
    const { rig, port } = await start({
      tls: { cert_file: cert, key_file: join(folder, "server.key.pem") },
    });
    const options = { port, host: "127.0.0.1", rejectUnauthorized: false };
    const sender = new Sender(port, connectTls(options)).send(good("a", "k"));
    expect(await sender.acks(1)).toEqual(["k"]);
    await new Sender(port).send(good("b")).closed;
    expect(bodies(rig)).toEqual(["a"]);
    expect(rig.said.join()).toContain("no TLS connection");
  });

  test("an address in use names what usually has it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? address?.port : 0;
    await expect(start({ endpoint: `127.0.0.1:${port}` })).rejects.toThrow(
      /receiver fluent_forward.*in use/,
    );
    other.close();
  });

  test("a UDP port in use stops the start, and the TCP port is free again", async () => {
    const udp = createSocket("udp4");
    await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve));
    const { port } = udp.address();
    await expect(start({ endpoint: `127.0.0.1:${port}` })).rejects.toThrow("heartbeats");
    udp.close();
    await once(udp, "close");
    await start({ endpoint: `127.0.0.1:${port}` });
  });
});
