import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import type { HttpServer } from "../../src/kit/server/http-server.ts";
import type { Component } from "../../src/pipeline/contracts.ts";
import type { ReceiverFactory } from "../../src/pipeline/factory.ts";
import { createDatakit } from "../../src/receivers/datakit/index.ts";
import { httpLogs } from "../../src/receivers/http_logs/index.ts";
import { createInfluxdbReceiver } from "../../src/receivers/influxdb/index.ts";
import { loki } from "../../src/receivers/loki/index.ts";
import { createTelemetryApi } from "../../src/receivers/telemetry_api/index.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { expectText } from "../support/otlp-text.ts";
import { ReceiverRig } from "../support/receiver-rig.ts";
import { until } from "../support/until.ts";

/** What each receiver over HTTP keeps of the list of bad input: the same questions to every door, in its own format. */
interface Door {
  readonly factory: unknown;
  readonly path: string;
  readonly type?: string;
  /** A body of these records: true is a good one, false a bad one. */
  readonly body: (records: readonly boolean[], number?: number) => string;
  readonly ok: number;
  /** The answers to a body with some bad records, and to one with nothing else. */
  readonly partial: number;
  readonly bad: number;
  /** A body with names that nobody knows, and one in which names come twice. (A tag that comes twice costs its line, as in InfluxDB.) */
  readonly unknown: string;
  readonly twice: string;
  readonly nested: string;
  /** The answer to the nested one: its sender must not send it again. */
  readonly nestedAnswer: number;
  /** Compressed bodies are not what its senders send. */
  readonly isPlain?: true;
}

const TIME = `${Date.now()}000000`;
const DEPTH = 100_000;
const deep = `${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}`;
const lines = (records: readonly boolean[]) =>
  records.map((is, i) => (is ? `m,t=a v=${i}i ${TIME}` : "bad line")).join("\n");
const line = {
  body: lines,
  unknown: `never_seen,t_never=1 f_never="x",other=2i ${TIME}`,
  twice: `m,t=a v=1i,v=2i ${TIME}`,
  nested: `m v=${"[".repeat(DEPTH)} ${TIME}`,
  nestedAnswer: 400,
};
const entry = (isGood: boolean, i: number) => [isGood ? TIME : "1000000000", `line ${i}`];
const pushed = (values: string) => `{"streams":[{"stream":{"app":"a"},"values":${values}}]}`;
const event = (isGood: boolean, i: number) =>
  isGood ? { time: "2026-11-21T12:00:00Z", type: "function", record: `line ${i}` } : { type: 7 };

const DOORS: Readonly<Record<string, Door>> = {
  influxdb: {
    ...line,
    factory: createInfluxdbReceiver(shippedTables()),
    path: "/write?db=d&nobody=knows",
    ...{ ok: 204, partial: 400, bad: 400 },
  },
  datakit: {
    ...line,
    factory: createDatakit(shippedTables()),
    path: "/v1/write/logging?nobody=knows",
    type: "text/plain",
    ...{ ok: 200, partial: 400, bad: 400 },
  },
  http_logs: {
    factory: httpLogs,
    path: "/logs/ingest?nobody=knows",
    body: (records) => records.map((is, i) => (is ? `{"message":"${i}"}` : "bad")).join("\n"),
    ...{ ok: 200, partial: 200, bad: 400 },
    unknown: '{"never":{"seen":[1]},"message":"x"}',
    twice: '{"message":"a","message":"b","k":1,"k":2}',
    nested: `{"a":${deep}}`,
    nestedAnswer: 400,
  },
  loki: {
    factory: loki,
    path: "/loki/api/v1/push?nobody=knows",
    type: "application/json",
    body: (records) => pushed(JSON.stringify(records.map(entry))),
    ...{ ok: 204, partial: 400, bad: 400 },
    unknown: `{"never":{"seen":[1]},"streams":[{"seen":2,"stream":{"never":"x"},"values":[["${TIME}","x"]]}]}`,
    twice: `{"streams":[{"stream":{"app":"a","app":"b"},"values":[["${TIME}","x",{"k":"1","k":"2"}]]}]}`,
    nested: `{"streams":${deep}}`,
    nestedAnswer: 400,
  },
  telemetry_api: {
    factory: createTelemetryApi({ listens() {}, done() {} }),
    path: "/nobody/knows",
    body: (records, number = 0) => JSON.stringify(records.map((is, i) => event(is, number + i))),
    ...{ ok: 200, partial: 200, bad: 400 },
    unknown:
      '[{"never":{"seen":[1]},"time":"2026-11-21T12:00:00Z","type":"function","record":"x"}]',
    twice:
      '[{"time":"2026-11-21T12:00:00Z","type":"platform.x","type":"function","record":"a","record":"b"}]',
    nested: `[{"time":"2026-11-21T12:00:00Z","type":"function","record":${deep}}]`,
    nestedAnswer: 400,
    isPlain: true,
  },
};

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function open(
  door: Door,
  options: object = {},
  rig = new ReceiverRig("door"),
  nowMs = Date.now,
) {
  const factory = door.factory as ReceiverFactory<object>;
  const config = factory.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const made: Component = factory.create(config, { ...rig.context, nowMs }, rig.intake);
  const receiver = made as HttpServer;
  await receiver.start();
  stops.push(async () => {
    await receiver.stop(AbortSignal.timeout(2_000));
    expect(rig.budget.used, "every lease is given back").toBe(0);
  });
  const address = receiver.address() ?? "";
  const send = async (body: string | Uint8Array, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://${address}${door.path}`, {
      method: "POST",
      body,
      headers: { ...(door.type !== undefined && { "content-type": door.type }), ...headers },
    });
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  };
  const dial = async (length: number): Promise<Socket> => {
    const [host = "", port = ""] = address.split(":");
    const socket = connect(Number(port), host);
    socket.on("error", () => {});
    await once(socket, "connect");
    const type = door.type === undefined ? "" : `Content-Type: ${door.type}\r\n`;
    socket.write(
      `POST ${door.path} HTTP/1.1\r\nHost: x\r\n${type}Content-Length: ${length}\r\n\r\n`,
    );
    return socket;
  };
  return { rig, send, dial };
}

describe.each(Object.entries(DOORS))("%s", (_, door) => {
  const { body, ok } = door;

  test("truncated at every byte: each record is stored or counted, or the request is", async () => {
    const { rig, send } = await open(door);
    const whole = body([true, true, true]);
    for (let end = 0; end < whole.length; end++) {
      const before = [rig.items, rig.lost, rig.outcome("invalid")];
      const { status } = await send(whole.slice(0, end));
      expect([ok, 400, 422]).toContain(status);
      const now = [rig.items, rig.lost, rig.outcome("invalid")];
      expect(rig.items - (before[0] ?? 0)).toBeLessThan(4);
      if (status !== ok) expect(now).not.toEqual(before);
    }
    expect((await send(whole)).status).toBe(ok);
  });

  if (door.isPlain !== true)
    test("gzip truncated at every byte stores nothing", async () => {
      const { rig, send } = await open(door);
      const packed = gzipSync(body([true, true, true]));
      const headers = { "content-encoding": "gzip" };
      for (let end = 2; end < packed.length; end++)
        expect((await send(packed.subarray(0, end), headers)).status).toBe(400);
      expect(rig.items).toBe(0);
      expect((await send(packed, headers)).status).toBe(ok);
      expect(rig.items).toBe(3);
    });

  test("names that nobody knows, and names that come twice, cost nothing", async () => {
    const { rig, send } = await open(door);
    expect(await send(door.unknown)).toMatchObject({ status: ok });
    expect(await send(door.twice)).toMatchObject({ status: ok });
    expect([rig.items, rig.lost]).toEqual([2, 0]);
  });

  test("100,000 open brackets cost themselves", async () => {
    const { rig, send } = await open(door);
    expect((await send(door.nested)).status).toBe(door.nestedAnswer);
    expect(rig.items).toBe(0);
    expect((await send(body([true]))).status).toBe(ok);
  });

  test("bytes that are no UTF-8, anywhere: what is stored is UTF-8, the rest counted", async () => {
    const { rig, send } = await open(door);
    const good = Buffer.from(body([true, true]));
    // Latin-1, half of a character, a surrogate.
    const breakers = [[0xe9], [0xe2, 0x82], [0xed, 0xa0, 0x80]].map((bytes) => Buffer.from(bytes));
    for (let at = 0; at <= good.length; at++) {
      const breaker = breakers[at % breakers.length] ?? Buffer.alloc(0);
      const { status } = await send(
        Buffer.concat([good.subarray(0, at), breaker, good.subarray(at)]),
      );
      expect(status).toBeLessThan(500);
      for (const { signal, bytes, length } of rig.batches.splice(0))
        expectText(signal, bytes.subarray(0, length));
    }
    expect((await send(good)).status).toBe(ok);
    expect(rig.items).toBe(2);
  });

  test("of good and bad records the good ones are stored, the bad ones counted", async () => {
    const { rig, send } = await open(door);
    expect((await send(body([true, false, true, false]))).status).toBe(door.partial);
    expect([rig.items, rig.lost]).toEqual([2, 2]);
    expect((await send(body([false]))).status).toBe(door.bad);
    expect([rig.items, rig.lost]).toEqual([2, 3]);
  });

  test("bad records are said in the log once a minute, with how many there were", async () => {
    let now = Date.now();
    const { rig, send } = await open(door, {}, undefined, () => now);
    const said = () => rig.said.filter((text) => text.includes("rejected"));
    for (let i = 0; i < 5; i++) await send(body([true, false], i));
    expect(said()).toHaveLength(1);
    now += 60_000;
    await send(body([true, false], 5));
    const counts = said().map((text) =>
      [...text.matchAll(/":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0),
    );
    expect(counts).toEqual([1, 5]);
  });

  test("a sender of one byte at a time is waited for", async () => {
    const { rig, dial } = await open(door);
    const text = body([true]);
    const socket = await dial(text.length);
    socket.setNoDelay(true);
    for (const byte of Buffer.from(text)) {
      socket.write(Uint8Array.of(byte));
      await sleep(0);
    }
    const [answer] = await once(socket, "data");
    expect(String(answer)).toContain(`HTTP/1.1 ${ok}`);
    expect(rig.items).toBe(1);
    socket.destroy();
  });

  test("one that is too slow is answered 408", async () => {
    const { rig, dial } = await open(door, { read_timeout: "200ms" });
    const socket = await dial(1_000);
    const trickle = setInterval(() => socket.write(" "), 50);
    const [answer] = await once(socket, "data");
    clearInterval(trickle);
    expect(String(answer)).toMatch(/^HTTP\/1.1 408 /);
    await until(() => rig.budget.used === 0);
  });

  test("one that leaves in the middle leaves nothing; one that leaves before its answer has its records stored", async () => {
    const { rig, dial } = await open(door);
    const text = body([true]);
    const early = await dial(text.length);
    early.write(text.slice(0, 3));
    await until(() => rig.budget.used > 0);
    early.destroy();
    await until(() => rig.budget.used === 0);
    expect(rig.items).toBe(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    let isSubmitted = false;
    rig.submitting = () => {
      isSubmitted = true;
      return promise;
    };
    const late = await dial(text.length);
    late.write(text);
    await until(() => isSubmitted);
    late.destroy();
    resolve();
    await until(() => rig.items === 1 && rig.budget.used === 0);
  });

  test("without credentials: 401, nothing is read", async () => {
    const rig = new ReceiverRig("door");
    const check = (header: (name: string) => string | undefined) =>
      header("authorization") === "Bearer good" ? undefined : { why: "who?", challenge: "Bearer" };
    rig.authenticator = { start: async () => {}, stop: async () => {}, server: { check } };
    const { send } = await open(door, { auth: { authenticator: "bearer_token_auth" } }, rig);
    const denied = await send(body([true]));
    expect([denied.status, denied.headers.has("www-authenticate")]).toEqual([401, true]);
    expect((await send(body([true]), { authorization: "Bearer bad" })).status).toBe(401);
    expect([rig.items, rig.outcome("unauthorized")]).toEqual([0, 2]);
    expect((await send(body([true]), { authorization: "Bearer good" })).status).toBe(ok);
  });
});
