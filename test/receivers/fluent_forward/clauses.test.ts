import { setTimeout as sleep } from "node:timers/promises";
import { encode } from "@msgpack/msgpack";
import { afterEach, expect, test } from "vitest";
import { fluentForward } from "../../../src/receivers/fluent_forward/index.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
const text = (value: string) => Buffer.from(encode(value));
/** A map whose keys may repeat. */
const map = (...pairs: readonly Uint8Array[]) =>
  Buffer.concat([Uint8Array.of(0x80 | (pairs.length / 2)), ...pairs]);
const message = (record: Uint8Array, options: Uint8Array) =>
  Buffer.concat([Uint8Array.of(0x94), text("t"), Buffer.from(encode(T)), record, options]);

test("options that nobody knows, and keys that come twice, cost nothing", async () => {
  const { rig, port } = await start();
  const record = map(text("log"), text("a"), text("k"), text("1"), text("log"), text("b"));
  const never = [text("never_seen"), Buffer.from(encode({ a: [1, { b: 2 }] }))] as const;
  const chunks = [text("chunk"), text("c1"), text("chunk"), text("c2")] as const;
  const sender = new Sender(port).send(message(record, map(...never, ...chunks)));
  expect(await sender.acks(1)).toEqual(["c2"]);
  expect(stored(rig)).toMatchObject([{ body: "b", attributes: { k: "1" } }]);
  expect(rig.lost).toBe(0);
});

test("100,000 open lists cost their message, wherever they stand, and no stack", async () => {
  const deep = Buffer.concat([Buffer.alloc(100_000, 0x91), Uint8Array.of(0xc0)]);
  const good = encode(["t", T, { log: "good" }, { chunk: "end" }]);
  const places = [
    message(map(text("log"), deep), map()),
    message(map(text("log"), text("x")), map(text("never_seen"), deep)),
    Buffer.concat([Uint8Array.of(0x93), text("t"), deep, map(text("log"), text("x"))]),
  ];
  for (const bytes of places) {
    const { rig, port } = await start();
    const sender = new Sender(port).send(bytes, good);
    await until(() => sender.isClosed || sender.told.length > 0);
    // Either the message costs itself, or its connection, and then a new one goes on.
    if (sender.told.length === 0) new Sender(port).send(good);
    await until(() => stored(rig).some(({ body }) => body === "good"));
    await until(() => rig.budget.used === 0);
  }
});

test("bad records are said in the log once a minute, with how many there were", async () => {
  let now = Date.now();
  const rig = new ReceiverRig("fluent_forward");
  const config = fluentForward.schema.parse({ endpoint: "127.0.0.1:0" });
  const receiver = fluentForward.create(config, { ...rig.context, nowMs: () => now }, rig.intake);
  await receiver.start();
  const sender = new Sender(Number(receiver.address()?.split(":").at(-1)));
  const said = () => rig.said.filter((line) => line.includes("records were rejected"));
  const sendBad = async (count: number) => {
    const before = rig.lost;
    for (let i = 1; i <= count; i++) {
      sender.send(encode(["t", T, 7]));
      await until(() => rig.lost === before + i);
    }
    await sleep(0);
  };
  await sendBad(5);
  expect(said()).toHaveLength(1);
  now += 60_000;
  await sendBad(1);
  const counts = said().map((line) =>
    [...line.matchAll(/":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0),
  );
  expect(counts).toEqual([1, 5]);
  sender.socket.destroy();
  await receiver.stop(AbortSignal.timeout(2_000));
});
