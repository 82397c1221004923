import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { eventTime } from "../../support/event-time.ts";
import { expectText } from "../../support/otlp-text.ts";
import { until } from "../../support/until.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
const entry = (n: number) => encode([T + n, { log: `line ${n}` }]);
const entries = (...numbers: readonly number[]) => Buffer.concat(numbers.map(entry));

async function bodies(sent: Uint8Array | string, count: number): Promise<unknown[]> {
  const { rig, port } = await start();
  new Sender(port).send(Buffer.from(sent));
  await until(() => rig.items + rig.lost >= count);
  expect(rig.rejected).toEqual([]);
  return stored(rig).map(({ body }) => body);
}

describe("modes", () => {
  test("message", async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(
      encode(["app.web", T, { log: "one", level: "warn" }, { chunk: "YQ==" }]),
      encode(["app.web", eventTime(T, 5), { log: "two", n: 7 }, {}]),
      encode(["app.db", eventTime(T + 1), { message: "three" }]),
    );
    expect(await sender.acks(1)).toEqual(["YQ=="]);
    await until(() => rig.items === 3);
    const web = { "fluent.tag": "app.web" };
    expect(stored(rig)).toEqual([
      { body: "one", severity: "warn", time: `${T}000000000`, attributes: web },
      { body: "two", time: `${T}000000005`, attributes: { ...web, n: "7" } },
      { body: "three", time: `${T + 1}000000000`, attributes: { "fluent.tag": "app.db" } },
    ]);
  });

  test("a time of 0 or nil is that of the arrival", async () => {
    const { rig, port } = await start();
    const before = Date.now();
    new Sender(port).send(encode(["t", 0, { log: "a" }]), encode(["t", null, { log: "b" }]));
    await until(() => rig.items === 2);
    for (const { time } of stored(rig)) {
      expect(Number(time) / 1e6).toBeGreaterThanOrEqual(before - 1);
      expect(Number(time) / 1e6).toBeLessThanOrEqual(Date.now() + 1);
    }
  });

  test("records and tags in bytes that are no UTF-8 are UTF-8 when they leave, counted by record", async () => {
    const { rig, port } = await start();
    const text = (latin: string) => [0xa0 | latin.length, ...Buffer.from(latin, "latin1")];
    const record = [0x82, ...text("log"), ...text("gr\xfcn"), ...text("\xe9"), ...text("\xff")];
    const tag = text("t\xe4g");
    new Sender(port).send(
      Uint8Array.from([0x93, ...tag, 7, ...record]),
      Uint8Array.from([0x92, ...tag, 0x91, 0x92, 8, ...record]),
      Uint8Array.from([0x93, ...text("tag"), 9, 0x81, ...text("log"), ...text("ok")]),
    );
    await until(() => rig.items === 3);
    for (const { bytes, length } of rig.batches) expectText("logs", bytes.subarray(0, length));
    const broken = { "fluent.tag": "t\ufffdg", "\ufffd": "\ufffd" };
    expect(stored(rig).map(({ body, attributes }) => [body, attributes])).toEqual([
      ["gr\ufffdn", broken],
      ["gr\ufffdn", broken],
      ["ok", { "fluent.tag": "tag" }],
    ]);
    expect(rig.counts.get("weir_records_replaced_texts_total fluent_forward tcp")).toBe(2);
  });

  test("entries without a time have one each, in their order, whatever mode and connection they come by", async () => {
    const { rig, port } = await start();
    const without = (body: string) => [null, { log: body }];
    const texts = Array.from({ length: 300 }, (_, i) => `line ${i}`);
    const packed = Buffer.concat(texts.slice(100, 200).map((body) => encode(without(body))));
    const sender = new Sender(port).send(
      encode(["t", texts.slice(0, 100).map(without)]),
      encode(["t", packed]),
      ...texts.slice(200).map((body) => encode(["t", ...without(body)])),
    );
    await until(() => rig.items === 300);
    new Sender(port).send(encode(["t", null, { log: "last" }]));
    await until(() => rig.items === 301);
    sender.socket.destroy();
    const times = new Map(stored(rig).map(({ body, time }) => [body, BigInt(time)]));
    const inOrder = [...texts, "last"].map((body) => times.get(body) ?? 0n);
    expect(inOrder.slice(1).filter((time, i) => time <= (inOrder[i] ?? 0n))).toEqual([]);
  });

  test("forward, with metadata and in the time formats of all versions", async () => {
    const { rig, port } = await start();
    new Sender(port).send(
      encode([
        "m.logs",
        [
          [T, { log: "a" }],
          [eventTime(T, 9), { log: "b" }],
          [[eventTime(T, 7), { otlp: { severity_number: 9 } }], { log: "c" }],
          [[eventTime(T), {}], { log: "d" }],
        ],
        { size: 4, fluent_signal: 0 },
      ]),
    );
    await until(() => rig.items === 4);
    expect(stored(rig).map(({ body, time }) => [body, time.slice(-2)])).toEqual([
      ["a", "00"],
      ["b", "09"],
      ["c", "07"],
      ["d", "00"],
    ]);
    expect(stored(rig)[2]?.attributes).toEqual({
      "fluent.tag": "m.logs",
      "fluent.metadata": '{"otlp":{"severity_number":9}}',
    });
    expect(stored(rig)[3]?.attributes).toEqual({ "fluent.tag": "m.logs" });
  });

  const PACKED = {
    "as bytes": encode(["t", entries(1, 2), { size: 2 }]),
    "without options": encode(["t", entries(1, 2)]),
    "as text": Buffer.concat([
      Uint8Array.of(0x92, 0xa1, 0x74, 0xd9, entries(1, 2).length),
      entries(1, 2),
    ]),
    "said to be text": encode(["t", entries(1, 2), { compressed: "text" }]),
    gzip: encode(["t", gzipSync(entries(1, 2)), { compressed: "gzip" }]),
    "gzip in members": encode([
      "t",
      Buffer.concat([gzipSync(entry(1)), gzipSync(entry(2))]),
      { compressed: "gzip" },
    ]),
    zstd: encode(["t", zstdCompressSync(entries(1, 2)), { compressed: "zstd" }]),
    "zstd in frames": encode([
      "t",
      Buffer.concat([zstdCompressSync(entry(1)), zstdCompressSync(entry(2))]),
      { compressed: "zstd" },
    ]),
  };
  test.each(Object.entries(PACKED))("packed: %s", async (_how, message) => {
    expect(await bodies(message, 2)).toEqual(["line 1", "line 2"]);
  });

  test("JSON, between white space, with exact numbers, and an answer in JSON", async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(
      Buffer.from(`["t.json",${T},{"log":"one","n":9007199254740993},{"chunk":"YQ=="}]\n \r\n`),
      Buffer.from(`["t.json",[[${T}.5,{"log":"]\\"["}],[null,{"log":"three"}]]]\n`),
    );
    await until(() => rig.items === 3 && sender.told.length > 0);
    expect(sender.told.toString()).toBe('{"ack":"YQ=="}');
    const [one, two] = stored(rig);
    expect(one).toEqual({
      body: "one",
      time: `${T}000000000`,
      attributes: { "fluent.tag": "t.json", n: "9007199254740993" },
    });
    expect([two?.body, two?.time]).toEqual([']"[', `${T}500000000`]);
  });

  test("nil is a heartbeat", async () => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(Uint8Array.of(0xc0, 0xc0), encode(["t", T, { log: "a" }]));
    await until(() => rig.items === 1);
    sender.send(Uint8Array.of(0xc0), encode(["t", T, { log: "b" }]), Uint8Array.of(0xc0));
    await until(() => rig.items === 2);
    expect(rig.rejected).toEqual([]);
  });
});

describe("captures of real senders", () => {
  const SHARED = join(import.meta.dirname, "..", "..", "fixtures", "seeds", "forward");
  const CAPTURES = JSON.parse(readFileSync(join(SHARED, "expected.json"), "utf8")) as Record<
    string,
    { records: number; tags: string[]; acks: string[]; first: unknown }
  >;
  test.each(Object.entries(CAPTURES))("%s", async (name, { records, tags, acks, first }) => {
    const { rig, port } = await start();
    const sender = new Sender(port).send(readFileSync(join(SHARED, name)));
    await until(() => rig.items >= records);
    expect(await sender.acks(acks.length)).toEqual(acks);
    expect(rig.items).toBe(records);
    expect(rig.rejected).toEqual([]);
    const all = stored(rig);
    expect([...new Set(all.map(({ attributes }) => attributes["fluent.tag"]))]).toEqual(tags);
    expect({ body: all[0]?.body, time: all[0]?.time }).toEqual(first);
  });
});

describe("a stream", () => {
  const STREAM = Buffer.concat([
    encode(["a", T, { log: "one" }, { chunk: "1" }]),
    encode([
      "b",
      [
        [T, { log: "two" }],
        [T, { log: "three" }],
      ],
      { chunk: "2" },
    ]),
    Uint8Array.of(0xc0),
    encode(["c", entries(4, 5), { chunk: "3" }]),
    encode(["d", gzipSync(entry(6)), { compressed: "gzip", chunk: "4" }]),
  ]);
  const ALL = ["one", "two", "three", "line 4", "line 5", "line 6"];

  test("is the same however it is cut into reads", async () => {
    const { rig, port } = await start();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(STREAM.length), { maxLength: 8 }), async (cuts) => {
        rig.batches.length = 0;
        const places = [0, ...cuts.toSorted((a, b) => a - b), STREAM.length];
        const sender = new Sender(port);
        for (const [i, place] of places.slice(1).entries()) {
          sender.send(STREAM.subarray(places[i], place));
          await new Promise(setImmediate);
        }
        expect(await sender.acks(4)).toEqual(["1", "2", "3", "4"]);
        expect(stored(rig).map(({ body }) => body)).toEqual(ALL);
        sender.socket.destroy();
      }),
      { numRuns: 40 },
    );
  });

  test("that ends anywhere: what was whole is stored and acknowledged, nothing else", async () => {
    const { rig, port } = await start();
    let gone = 0;
    for (let length = 0; length < STREAM.length; length++) {
      rig.batches.length = 0;
      const sender = new Sender(port);
      sender.socket.end(STREAM.subarray(0, length));
      await sender.closed;
      const acks = sender.answers().length;
      const found = stored(rig).map(({ body }) => body);
      expect(found, `${length} bytes`).toEqual(ALL.slice(0, [0, 1, 3, 5, 6][acks]));
      gone++;
    }
    expect(gone).toBe(STREAM.length);
    expect(rig.rejected).toEqual([]);
  });
});
