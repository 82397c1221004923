import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { LineTables } from "../../src/kit/doors/line-tables.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { PipelineError, type Refusal } from "../../src/otlp/status.ts";
import type { Intake, Lease } from "../../src/pipeline/contracts.ts";
import type { Context } from "../../src/pipeline/factory.ts";
import type { LogFields } from "../../src/pipeline/telemetry.ts";
import { type Config, lineProtocolConfig } from "../../src/receivers/line_protocol/config.ts";
import { createLineProtocol } from "../../src/receivers/line_protocol/index.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { decodeRequest } from "../support/otlp.ts";

const REFUSAL: Refusal = { kind: "refused", retryAfterMs: 1, why: "full" };
const TABLES = shippedTables();
const config = lineProtocolConfig(new LineTables(TABLES));

/** An intake that keeps what it gets, and can be told to refuse, fail or wait. */
class Recorder implements Intake {
  readonly signals = new Set(["logs" as const]);
  readonly batches: Batch[] = [];
  readonly bad: { items: number; why: string; transport: string | undefined }[] = [];
  leased = 0;
  refusals = 0;
  failures = 0;
  gate: Promise<void> = Promise.resolve();

  admit(_signal: string, bytes: number): Lease | Refusal {
    if (this.refusals > 0) {
      this.refusals--;
      return REFUSAL;
    }
    let held = bytes;
    this.leased += bytes;
    return {
      bytes,
      grow: (more) => {
        held += more;
        this.leased += more;
        return true;
      },
      isBeyondBudget: false,
      [Symbol.dispose]: () => {
        this.leased -= held;
      },
    };
  }

  async submit(batches: readonly Batch[]): Promise<void> {
    await this.gate;
    if (this.failures > 0) {
      this.failures--;
      throw new PipelineError(REFUSAL);
    }
    this.batches.push(...batches);
  }

  rejected(_signal: string, items: number, why: string, transport?: string): void {
    this.bad.push({ items, why, transport });
  }

  get items(): number {
    return this.batches.reduce((sum, batch) => sum + batch.items, 0);
  }
  get lost(): number {
    return this.bad.reduce((sum, { items }) => sum + items, 0);
  }
}

const logs: { level: string; text: string; fields: LogFields }[] = [];
const counted = new Map<string, number>();
const observed = new Map<string, () => number>();
const log = (level: string) => (fields: LogFields, text: string) =>
  void logs.push({ level, text, fields });
const context: Context = {
  id: "line_protocol",
  log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
  meter: {
    counter: (name) => ({ add: (n) => void counted.set(name, (counted.get(name) ?? 0) + n) }),
    observe: (name, _help, _labels, _type, read) => void observed.set(name, read),
  },
  indexer: createIndexer(),
  nowMs: Date.now,
  fail: (error) => {
    throw error;
  },
};

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  logs.length = 0;
  counted.clear();
});

async function start(options: object, intake = new Recorder()) {
  const parsed: Config = config.parse(options);
  const receiver = createLineProtocol(TABLES).create(parsed, context, intake);
  await receiver.start();
  const stop = () => receiver.stop(AbortSignal.timeout(2_000));
  stops.push(stop);
  return { intake, stop, udp: receiver.udp?.port ?? 0, tcp: receiver.tcp?.port ?? 0 };
}

const UDP = { udp: { endpoint: "127.0.0.1:0", recv_buffer_size: 65_536 } };
const TCP = { tcp: { endpoint: "127.0.0.1:0" } };

async function send(port: number, datagrams: readonly (string | Uint8Array)[]): Promise<void> {
  const socket = createSocket("udp4");
  for (const datagram of datagrams)
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, port, "127.0.0.1", (e) => (e ? reject(e) : resolve())),
    );
  socket.close();
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

const namesIn = (batch: Batch) =>
  [
    ...JSON.stringify(decodeRequest("logs", batch.bytes.subarray(0, batch.length))).matchAll(
      /"eventName":"([^"]+)"/g,
    ),
  ].map((m) => m[1]);

test("datagrams become log records, bad lines are counted with a reason", async () => {
  const { intake, udp } = await start(UDP);
  await send(udp, ["a v=1\nb v=2", "c v=\nd v=3", "", "\xff", '{"measurement":"x"}', '[{"a":1}]']);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([3, 4]);
  expect(intake.batches.flatMap(namesIn)).toEqual(["a", "b", "d"]);
  expect(intake.bad.map(({ why }) => why)).toContain("point 1: it has no field");
  expect(intake.bad.every(({ transport }) => transport === "udp")).toBe(true);
  await expect.poll(() => intake.leased).toBe(0);
});

test("lines whose time no int64 of nanoseconds holds are counted", async () => {
  const { intake, udp } = await start({ ...UDP, precision: "s" });
  await send(udp, ["a v=1 99999999999\nb v=1 1\nc v=1 -99999999999"]);
  await expect.poll(() => intake.items).toBe(3);
  expect(counted.get("weir_lines_replaced_times_total")).toBe(2);
});

test("characters that JSON points lose are counted, over UDP and TCP; those of bad points are not", async () => {
  const point = (name: string) => JSON.stringify({ measurement: name, fields: { [name]: 1 } });
  const { intake, udp, tcp } = await start({ ...UDP, tcp: { endpoint: "127.0.0.1:0" } });
  const bad = JSON.stringify({ measurement: "a\u0001", fields: {} });
  await send(udp, [`[${point("a\u0001")},${bad}]`, point("plain")]);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([2, 1]);
  expect(counted.get("weir_lines_lost_characters_total")).toBe(2);
  const socket = await open(tcp);
  socket.end(`${point("b\\")}\n`);
  await expect.poll(() => intake.items).toBe(3);
  expect(counted.get("weir_lines_lost_characters_total")).toBe(4);
  expect(intake.batches.flatMap(namesIn)).toEqual(["a", "plain", "b"]);
});

test("datagrams of some milliseconds are one request, and none is lost", async () => {
  const intake = new Recorder();
  const gate = Promise.withResolvers<void>();
  intake.gate = gate.promise;
  const { udp } = await start({ udp: { endpoint: "127.0.0.1:0" } }, intake);
  const datagrams = Array.from({ length: 400 }, (_, i) => `m v=${i}i ${i + 1}`);
  await send(udp, datagrams);
  await new Promise((resolve) => setTimeout(resolve, 50));
  gate.resolve();
  await expect.poll(() => intake.items).toBe(400);
  expect(intake.batches.length).toBeLessThan(200);
  expect(intake.lost).toBe(0);
});

test("a datagram with a spread table is a request of its own", async () => {
  const { intake, udp } = await start(UDP);
  await send(udp, ["a v=1", "DFF_func_call,func_id=f run_cost=1i\nb v=1", "c v=1\nbad"]);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([4, 1]);
  const alone = intake.batches.map(namesIn).filter((names) => names.includes("DFF_func_call"));
  expect(alone).toEqual([["DFF_func_call", "b"]]);
});

test("refused datagrams are counted in lines and said once", async () => {
  const intake = new Recorder();
  intake.refusals = 1;
  const { udp } = await start(UDP, intake);
  await send(udp, ["a v=1\nb v=1\nbad"]);
  await expect.poll(() => intake.lost).toBe(3);
  await send(udp, ["c v=1"]);
  await expect.poll(() => intake.items).toBe(1);
  expect(logs.filter(({ text }) => text === "lines were lost")).toHaveLength(1);
});

test("a rejected submit over UDP is said, not thrown", async () => {
  const intake = new Recorder();
  intake.failures = 1;
  const { udp } = await start(UDP, intake);
  await send(udp, ["a v=1"]);
  await expect
    .poll(() => logs.some(({ level, text }) => level === "error" && text === "lines were lost"))
    .toBe(true);
});

test("the kernel's drops are exact: sent = received + drops", async () => {
  const intake = new Recorder();
  const { udp } = await start(
    { udp: { endpoint: "127.0.0.1:0", recv_buffer_size: 4_096 } },
    intake,
  );
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, resolve));
  const total = 5_000;
  // Handed to the kernel within one turn of the loop, while the receiver cannot read.
  await Promise.all(
    Array.from(
      { length: total },
      (_, i) =>
        new Promise<void>((resolve, reject) =>
          socket.send(`m v=${i}i`, udp, "127.0.0.1", (e) => (e ? reject(e) : resolve())),
        ),
    ),
  );
  socket.close();
  const drops = () => observed.get("weir_udp_kernel_drops_total")?.() ?? 0;
  await expect.poll(() => intake.items + drops()).toBe(total);
});

test("a receive buffer that the kernel grants only in part is said with the sysctl", async () => {
  await start({ udp: { endpoint: "127.0.0.1:0", recv_buffer_size: 1 << 30 } });
  expect(logs.find(({ level }) => level === "warn")?.text).toContain(
    "net.core.rmem_max=1073741824",
  );
});

test("a stop hands over what the kernel and the gatherer hold", async () => {
  const { intake, udp, stop } = await start(UDP);
  await send(
    udp,
    Array.from({ length: 20 }, (_, i) => `m v=${i}i`),
  );
  await stop();
  expect(intake.items).toBe(20);
  await stop();
});

test("TCP: lines cut anywhere, a string over several reads, the last line without newline", async () => {
  const { intake, tcp } = await start(TCP);
  const text = 'a v=1\nb s="x\ny\\"\nz",v=2\n# c\n\nbad line\nc,t=ä v=3';
  const socket = await open(tcp);
  for (const byte of Buffer.from(text)) {
    socket.write(Uint8Array.of(byte));
    if (byte === 10 || byte === 92) await new Promise((resolve) => setTimeout(resolve, 3));
  }
  socket.end();
  await expect.poll(() => [intake.items, intake.lost]).toEqual([3, 1]);
  expect(intake.batches.flatMap(namesIn)).toEqual(["a", "b", "c"]);
  expect(intake.leased).toBe(0);
});

test("TCP: a full service slows the sender down and loses nothing", async () => {
  const intake = new Recorder();
  intake.refusals = 3;
  intake.failures = 2;
  const { tcp } = await start(TCP, intake);
  const socket = await open(tcp);
  socket.end("a v=1\nb v=2\nbad\n");
  await expect.poll(() => [intake.items, intake.lost]).toEqual([2, 1]);
});

test("TCP: reading stops while a request is on its way", async () => {
  const intake = new Recorder();
  const gate = Promise.withResolvers<void>();
  intake.gate = gate.promise;
  const { tcp } = await start(TCP, intake);
  const socket = await open(tcp);
  const chunk = `${`m s="${"x".repeat(1_000)}"\n`.repeat(1_000)}`;
  for (let i = 0; i < 64; i++) socket.write(chunk);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(socket.writableLength).toBeGreaterThan(20_000_000);
  gate.resolve();
  socket.end();
  await expect.poll(() => intake.items).toBe(64_000);
});

const POINT = (name: string) => `{"measurement":"${name}","fields":{"v":1}}`;

test("JSON points in datagrams: one, an array, NDJSON; a spread table's are a request of their own", async () => {
  const { intake, udp } = await start({ ...UDP, precision: "s" });
  await send(udp, [
    '{"measurement":"a","fields":{"v":1},"timestamp":"2024-01-15T10:30:00.000Z"}',
    `[${POINT("b")},{"measurement":"c"},${POINT("d")}]`,
    ` ${POINT("e")}\n${POINT("DFF_func_call")}\n{`,
  ]);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([5, 2]);
  expect(intake.batches.flatMap(namesIn).sort()).toEqual(["DFF_func_call", "a", "b", "d", "e"]);
  const alone = intake.batches.map(namesIn).filter((names) => names.includes("DFF_func_call"));
  expect(alone).toEqual([["e", "DFF_func_call"]]);
  const { bytes, length } = intake.batches.find((batch) => namesIn(batch)[0] === "a") as Batch;
  expect(JSON.stringify(decodeRequest("logs", bytes.subarray(0, length)))).toContain(
    '"timeUnixNano":"1705314600000000000"',
  );
});

test("refused datagrams of JSON are counted in points", async () => {
  const intake = new Recorder();
  intake.refusals = 1;
  const { udp } = await start(UDP, intake);
  await send(udp, [`[${POINT("a")},${POINT("b")},{}]`]);
  await expect.poll(() => intake.lost).toBe(3);
});

test("TCP: JSON points on lines of their own, between lines of line protocol, cut anywhere", async () => {
  const { intake, tcp } = await start(TCP);
  const text = `a v=1\n${POINT("b")}\n[${POINT("c")},${POINT("d")}]\n{"x="y\nbad\ne s="{\n{",v=1\n# c\n  ${POINT("f")}\r\ng v=1\n${POINT("h")}`;
  for (const step of [1, 7, text.length]) {
    const socket = await open(tcp);
    for (let at = 0; at < text.length; at += step) {
      socket.write(text.slice(at, at + step));
      if (at % 60 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.end();
    await expect.poll(() => [intake.items, intake.lost]).toEqual([8, 2]);
    expect(intake.batches.splice(0).flatMap(namesIn).join("")).toBe("abcdefgh");
    intake.bad.splice(0);
  }
});

test("TCP: one read is one request, made of whole lines", async () => {
  const { intake, tcp } = await start(TCP);
  const socket = await open(tcp);
  for (const [i, chunk] of ["a v=1\nb v=1\nc v", "=1\n", "d v=1\n"].entries()) {
    socket.write(chunk);
    await expect.poll(() => intake.batches).toHaveLength(i + 1);
  }
  expect(intake.batches.map(namesIn)).toEqual([["a", "b"], ["c"], ["d"]]);
  socket.destroy();
});

test("TCP: half a line at the end is a line when it is whole, else it is counted", async () => {
  for (const [rest, items, lost] of [
    ["b v=2", 2, 0],
    ["b v=", 1, 1],
    ['b s="open\n', 1, 1],
    [POINT("b"), 2, 0],
    [POINT("b").slice(0, -1), 1, 1],
    ["# comm", 1, 0],
  ] as const) {
    const { intake, tcp, stop } = await start(TCP);
    (await open(tcp)).end(`a v=1\n${rest}`);
    await expect.poll(() => [intake.items, intake.lost]).toEqual([items, lost]);
    await stop();
    expect([intake.items, intake.lost, intake.leased]).toEqual([items, lost, 0]);
  }
});

test("TCP: ten times every limit costs a line each, with its reason, and nothing else", async () => {
  const { intake, tcp } = await start({
    tcp: { endpoint: "127.0.0.1:0", max_line_size: 12 << 20, max_connections: 4 },
  });
  const x = (n: number) => "x".repeat(n);
  const bad: readonly [string, string][] = [
    [`${x(655_360)} v=1`, "longer than 65536 bytes"],
    [`m,t=${x(655_360)} v=1`, "longer than 65536 bytes"],
    [`m s="${x(10 << 20)}"`, "longer than 1048576 bytes"],
    [`m ${Array.from({ length: 100_000 }, (_, i) => `f${i}=1`).join()}`, "more than 10000"],
    [`${'{"a":'.repeat(640)}1${"}".repeat(640)}`, "nested deeper than 64"],
    [`{"measurement":"m","fields":{"v":"${x(2_621_440)}"}}`, "longer than 262144 bytes"],
  ];
  for (const [line, why] of bad) {
    const socket = await open(tcp);
    socket.end(`before v=1\n${line}\nafter v=1\n`);
    await expect.poll(() => [intake.items, intake.lost]).toEqual([2, 1]);
    expect(intake.batches.splice(0).flatMap(namesIn)).toEqual(["before", "after"]);
    expect(intake.bad.splice(0)[0]?.why).toContain(why);
  }
  const sockets = await Promise.all(
    Array.from({ length: 40 }, () => open(tcp).catch(() => undefined)),
  );
  for (const socket of sockets) socket?.write("c v=1\n");
  await expect.poll(() => intake.items).toBe(4);
  for (const socket of sockets) socket?.destroy();
});

test("TCP: a long array is read in steps, into one request", async () => {
  const { intake, tcp } = await start(TCP);
  const socket = await open(tcp);
  const points = Array.from({ length: 40_000 }, (_, i) => POINT(`m${i % 3}`));
  socket.end(`[${points.join()}]\n${POINT("last")}`);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([40_001, 0]);
  expect(intake.batches[0]?.items).toBe(40_000);
});

test("TCP: an over-long line of JSON costs itself", async () => {
  const { intake, tcp } = await start({ tcp: { endpoint: "127.0.0.1:0", max_line_size: 2_048 } });
  const socket = await open(tcp);
  const long = POINT("x".repeat(200_000));
  socket.end(`${POINT("a")}\n${long}\nb v=1\n${long}`);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([2, 2]);
  expect(intake.bad.every(({ why }) => why.includes("max_line_size"))).toBe(true);
});

test("TCP: an over-long line costs itself", async () => {
  const { intake, tcp } = await start({ tcp: { endpoint: "127.0.0.1:0", max_line_size: 2_048 } });
  const socket = await open(tcp);
  socket.write(`a v=1\nb s="${"x".repeat(300_000)}"\nc v=1\n`);
  socket.end(`d s="${"y".repeat(1_900)}"\n`);
  await expect.poll(() => [intake.items, intake.lost]).toEqual([3, 1]);
  expect(intake.bad[0]?.why).toContain("max_line_size");
});

test("TCP: a forgotten quote does not hold later lines back", async () => {
  const { intake, tcp } = await start(TCP);
  const socket = await open(tcp);
  socket.write('a s="oops\nb v=1\nc v=2\n');
  await expect.poll(() => [intake.items, intake.lost]).toEqual([2, 1]);
  socket.destroy();
});

test("TCP: idle connections are closed, further ones than max_connections too", async () => {
  const { tcp } = await start({
    tcp: { endpoint: "127.0.0.1:0", idle_timeout: "2s", max_connections: 2 },
  });
  const sockets = [await open(tcp), await open(tcp), await open(tcp)];
  const closed = await Promise.all(
    sockets.map((socket) =>
      socket.closed
        ? "closed"
        : new Promise((resolve) => socket.once("close", () => resolve("closed"))),
    ),
  );
  expect(closed).toEqual(["closed", "closed", "closed"]);
  expect(logs.some(({ text }) => text.includes("max_connections"))).toBe(true);
});

test("TCP: what comes after the first pause is looked after as well", async () => {
  const { intake, tcp } = await start({ tcp: { endpoint: "127.0.0.1:0", idle_timeout: "4s" } });
  const socket = await open(tcp);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  socket.write('a s="oops\nb v=1\n');
  await expect.poll(() => [intake.items, intake.lost]).toEqual([1, 1]);
  await closed;
});

test("TCP: resets and half-open connections harm nobody", async () => {
  const { intake, tcp, stop } = await start(TCP);
  const broken = await open(tcp);
  broken.write("a v=1\nb v");
  await expect.poll(() => intake.items).toBe(1);
  broken.resetAndDestroy();
  const silent = await open(tcp);
  silent.write("c v=1\nd v=");
  await expect.poll(() => intake.items).toBe(2);
  await stop();
  silent.destroy();
  expect(intake.leased).toBe(0);
});

test("an address in use: who owns it, which option, which port is free", async () => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
  const address = blocker.address();
  const port = typeof address === "object" ? address?.port : 0;
  const endpoint = `127.0.0.1:${port}`;
  await expect(start({ ...UDP, tcp: { endpoint } })).rejects.toThrow(
    new RegExp(
      `cannot listen on 127.0.0.1:${port}: the address is in use.*receivers.line_protocol.tcp.endpoint; port \\d+ is free`,
    ),
  );
  const first = await start(UDP);
  await expect(start({ udp: { endpoint: `127.0.0.1:${first.udp}` } })).rejects.toThrow(
    /\(udp\) cannot listen .* in use.*receivers\.line_protocol\.udp\.endpoint/,
  );
  blocker.close();
});

test("the configuration needs a transport and knows its keys", () => {
  expect(config.safeParse({}).error?.issues[0]?.message).toContain('needs "udp" or "tcp"');
  expect(config.safeParse({ udp: { port: 1 } }).success).toBe(false);
  expect(config.parse({ udp: {} }).udp?.endpoint).toBe("127.0.0.1:8094");
  expect(config.parse({ tcp: {} }).udp).toBeUndefined();
  const both = config.parse({ udp: null, tcp: null });
  expect(both).toEqual(config.parse({ udp: {}, tcp: {} }));
  expect(both.tcp?.max_connections).toBe(1_024);
  expect(config.parse({ udp: { enabled: false }, tcp: null }).udp).toBeUndefined();
  expect(config.safeParse({ udp: { enabled: false } }).success).toBe(false);
});

test("a table file of the user says what of its lines is a tag, the body and the severity; a mistake in it names its place", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-tables-"));
  stops.push(async () => rmSync(directory, { recursive: true }));
  const path = join(directory, "deploys.yaml");
  const table = `measurement: deploys
doc: One row for each deployment.
identity: exact
match: {}
body: message
severity: { column: status, levels: { failed: 17 } }
columns:
  status: { kind: tag, doc: How it ended., from: [status] }
  message: { kind: text, doc: What it said., from: [message] }
`;
  writeFileSync(path, table);
  const { intake, udp } = await start({ ...UDP, tables: [path] });
  const socket = createSocket("udp4");
  socket.send('deploys,status=failed,zone=a message="no space left" 1705314600', udp, "127.0.0.1");
  await expect.poll(() => intake.items).toBe(1);
  socket.close();
  const [batch] = intake.batches as [Batch];
  const request = decodeRequest("logs", batch.bytes.subarray(0, batch.length));
  expect(request).toMatchObject({
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                eventName: "deploys",
                severityNumber: 17,
                body: { stringValue: "no space left" },
                attributes: expect.arrayContaining([
                  {
                    key: "weir.tags",
                    value: { arrayValue: { values: [{ stringValue: "zone" }] } },
                  },
                ]),
              },
            ],
          },
        ],
      },
    ],
  });
  writeFileSync(path, table.replace("kind: text", "kind: txt"));
  const [mistake] = config.safeParse({ ...UDP, tables: [path] }).error?.issues ?? [];
  expect([mistake?.path, mistake?.message]).toEqual([
    ["tables", 0],
    expect.stringContaining("deploys.yaml:9:20"),
  ]);
  const [name] = config.safeParse({ ...UDP, tables: ["requests"] }).error?.issues ?? [];
  expect(name?.message).toMatch(/expected the path of a table file, such as/);
});
