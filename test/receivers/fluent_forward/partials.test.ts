import { encode } from "@msgpack/msgpack";
import { afterEach, expect, test } from "vitest";
import {
  LINE_BYTES_MAX,
  LINE_WAIT_MS,
  LINES_MAX,
} from "../../../src/receivers/fluent_forward/partials.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";
import { stored } from "../http_logs/rig.ts";
import { Sender, start, stopAll } from "./rig.ts";

afterEach(stopAll);

const T = 1_705_314_600;
interface Part {
  readonly id?: string;
  readonly ordinal: number;
  readonly log: string;
  readonly isLast?: boolean;
}

/** As Docker's driver fluentd writes a part of a line. */
function part({ id = "x", ordinal, log, isLast = false }: Part, options: object = {}): Uint8Array {
  const record = {
    container_id: "3d5b",
    container_name: "/worker-1",
    source: "stdout",
    log,
    partial_message: "true",
    partial_id: id,
    partial_ordinal: String(ordinal),
    partial_last: String(isLast),
  };
  return encode(["docker", T + ordinal, record, options]);
}

const whole = (log: string) =>
  encode(["docker", T, { container_id: "3d5b", source: "stdout", log }, {}]);
const bodies = (rig: ReceiverRig) => stored(rig).map(({ body }) => body);

test("parts become one record, with the members and the time of the first, however they are cut", async () => {
  const { rig, port } = await start();
  const sender = new Sender(port);
  const sent = Buffer.concat([
    part({ ordinal: 1, log: "a".repeat(16_384) }),
    part({ ordinal: 2, log: "b".repeat(16_384) }),
    part({ ordinal: 3, log: "c", isLast: true }),
    whole("next"),
  ]);
  for (let at = 0; at < sent.length; at += 5_000) {
    sender.send(sent.subarray(at, at + 5_000));
    await new Promise(setImmediate);
  }
  await until(() => rig.items === 2);
  const [joined, next] = stored(rig);
  expect(joined?.body).toBe(`${"a".repeat(16_384)}${"b".repeat(16_384)}c`);
  expect(joined?.time).toBe(`${T + 1}000000000`);
  expect(joined?.attributes).toEqual({
    "fluent.tag": "docker",
    container_id: "3d5b",
    container_name: "/worker-1",
    source: "stdout",
  });
  expect(next?.body).toBe("next");
});

test("a JSON line that was cut is read as JSON again", async () => {
  const { rig, port } = await start();
  const line = JSON.stringify({ message: "done", level: "info", pad: "x".repeat(20_000) });
  new Sender(port).send(
    part({ ordinal: 1, log: line.slice(0, 16_384) }),
    part({ ordinal: 2, log: line.slice(16_384), isLast: true }),
  );
  await until(() => rig.items === 1);
  expect(stored(rig)[0]).toMatchObject({ body: "done", severity: "info" });
});

test("lines of two sources of output are told apart by their ids", async () => {
  const { rig, port } = await start();
  new Sender(port).send(
    part({ id: "out", ordinal: 1, log: "o1" }),
    part({ id: "err", ordinal: 1, log: "e1" }),
    part({ id: "err", ordinal: 2, log: "e2", isLast: true }),
    part({ id: "out", ordinal: 2, log: "o2", isLast: true }),
  );
  await until(() => rig.items === 2);
  expect(bodies(rig)).toEqual(["e1e2", "o1o2"]);
});

test("who wants acknowledgements gets them for each part, which is durable then: nothing waits in memory", async () => {
  const { rig, port } = await start();
  const sender = new Sender(port);
  sender.send(part({ ordinal: 1, log: "a" }, { chunk: "1" }));
  expect(await sender.acks(1)).toEqual(["1"]);
  expect(rig.items).toBe(1);
  sender.send(part({ ordinal: 2, log: "b", isLast: true }, { chunk: "2" }));
  expect(await sender.acks(2)).toEqual(["1", "2"]);
  expect(stored(rig).map(({ body, attributes }) => [body, attributes["partial_ordinal"]])).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
});

const MARKED = { partial_message: "true", partial_id: "x" };
test("a part that is missing: what was there goes on, marked", async () => {
  const { rig, port } = await start();
  new Sender(port).send(
    part({ ordinal: 1, log: "a" }),
    part({ ordinal: 3, log: "c" }),
    part({ ordinal: 4, log: "d", isLast: true }),
  );
  await until(() => rig.items === 2);
  expect(bodies(rig)).toEqual(["a", "cd"]);
  for (const { attributes } of stored(rig)) expect(attributes).toMatchObject(MARKED);
});

test("a sender that leaves: what was there goes on, marked", async () => {
  const { rig, port } = await start();
  new Sender(port)
    .send(part({ ordinal: 1, log: "a" }), part({ ordinal: 2, log: "b" }))
    .socket.end();
  await until(() => rig.items === 1);
  expect(bodies(rig)).toEqual(["ab"]);
  expect(stored(rig)[0]?.attributes).toMatchObject(MARKED);
});

test("a stop: what was there goes on", async () => {
  const { rig, port, receiver } = await start();
  const sender = new Sender(port).send(whole("w"), part({ ordinal: 1, log: "a" }));
  await until(() => rig.items === 1);
  await receiver.stop(AbortSignal.timeout(2_000));
  await sender.closed;
  expect(bodies(rig)).toEqual(["w", "a"]);
});

test(`a line that gets no part for ${LINE_WAIT_MS} ms goes on as it is`, async () => {
  const rig = new ReceiverRig("fluent_forward");
  let ahead = 0;
  Object.assign(rig.context, { nowMs: () => Date.now() + ahead });
  const { port } = await start({}, rig);
  const sender = new Sender(port).send(whole("w"), part({ ordinal: 1, log: "a" }));
  await until(() => rig.items === 1);
  ahead = LINE_WAIT_MS;
  await until(() => rig.items === 2);
  expect(bodies(rig)).toEqual(["w", "a"]);
  sender.send(whole("after"));
  await until(() => rig.items === 3);
});

test(`a line of more than ${LINE_BYTES_MAX} bytes goes on in pieces`, async () => {
  const { rig, port } = await start();
  const sender = new Sender(port);
  const log = "x".repeat(1 << 20);
  for (let ordinal = 1; ordinal <= 6; ordinal++)
    sender.send(part({ ordinal, log, isLast: ordinal === 6 }));
  await until(() => rig.items === 2);
  expect(bodies(rig).map((body) => String(body).length)).toEqual([4 << 20, 2 << 20]);
});

test(`at most ${LINES_MAX} lines wait: then the oldest goes on`, async () => {
  const { rig, port } = await start();
  const sender = new Sender(port);
  for (let n = 0; n <= LINES_MAX; n++) sender.send(part({ id: `id${n}`, ordinal: 1, log: `${n}` }));
  await until(() => rig.items === 1);
  expect(bodies(rig)).toEqual(["0"]);
});

test("where there is no memory for waiting, a part goes on by itself", async () => {
  const rig = new ReceiverRig("fluent_forward");
  const { port } = await start({}, rig);
  const sender = new Sender(port);
  const real = rig.budget.take.bind(rig.budget);
  // Leases of parts are small; those of requests are not touched.
  Object.assign(rig.budget, {
    take: (bytes: number) => (bytes > 2_048 && bytes < 4_096 ? undefined : real(bytes)),
  });
  sender.send(part({ ordinal: 1, log: "a" }), part({ ordinal: 2, log: "b", isLast: true }));
  await until(() => rig.items === 2);
  expect(bodies(rig)).toEqual(["a", "b"]);
});

test("marks that are none: the record stays as it is", async () => {
  const { rig, port } = await start();
  new Sender(port).send(
    encode(["t", T, { log: "a", partial_id: 7, partial_ordinal: "1" }]),
    encode(["t", T, { log: "b", partial_id: "x", partial_ordinal: "first" }]),
    encode(["t", T, { log: 5, partial_id: "x", partial_ordinal: "1" }]),
    encode(["t", T, { log: "c", partial_message: "true" }]),
  );
  await until(() => rig.items === 4);
  expect(bodies(rig)).toEqual(["a", "b", "5", "c"]);
});
