import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encode } from "@msgpack/msgpack";
import { afterEach, describe, expect, test } from "vitest";
import { JSON_MAX } from "../../../src/receivers/fluent_forward/connection.ts";
import { CHUNK_MAX } from "../../../src/receivers/fluent_forward/message.ts";
import type { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
const good = (log: string, chunk?: string) =>
  encode(["t", T, { log }, chunk === undefined ? {} : { chunk }]);
const bodies = (rig: ReceiverRig) => stored(rig).map(({ body }) => body);
const outcome = (rig: ReceiverRig, name: string) =>
  rig.counts.get(`weir_receiver_requests_total fluent_forward tcp ${name}`) ?? 0;

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
    await until(() => outcome(rig, "refused") === 1);
    first.send(good("b", "l"));
    await first.acks(2);
  });

  test("read_timeout: who takes too long for a message is cut, be it by silence or by drops", async () => {
    const { rig, port } = await start({ read_timeout: "1s" });
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
    const idle = await start({ idle_timeout: "2s" });
    const forEver = await start();
    const [a, b] = [new Sender(idle.port), new Sender(forEver.port)];
    a.send(good("a", "k"));
    await a.acks(1);
    await a.closed;
    expect(b.isClosed).toBe(false);
    expect(idle.rig.said).toEqual([]);
  });
});
