import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { LineReader } from "../../../src/line/reader.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";
import { startInfluxdb } from "../../support/influxdb-receiver.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { until } from "../../support/until.ts";

const GOOD = "m,t=a v=1i 1705314600000000000";
const V1 = "/write?db=d";
const V3 = "/api/v3/write_lp?db=d";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(options: object = {}) {
  const rig = new ReceiverRig("influxdb");
  const { url, address, stop } = await startInfluxdb(rig, options);
  stops.push(async () => {
    await stop();
    expect(rig.budget.used, "every lease is given back").toBe(0);
  });
  return { rig, url, address };
}

async function dial(address: string): Promise<Socket> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function post(url: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { method: "POST", body, headers });
  return { status: answer.status, text: await answer.text() };
}

/** Good and bad lines, as the reader sees them. */
function linesOf(body: Uint8Array): [number, number] {
  const bytes = withSlack(Uint8Array.from(body));
  const reader = new LineReader();
  reader.reset(bytes, new DataView(bytes.buffer), 0, body.length);
  let good = 0;
  let bad = 0;
  while (reader.next())
    if (reader.problem === 0) good++;
    else bad++;
  return [good, bad];
}

const MIXED = Buffer.from(
  `requests,service=luna-backport4,route=POST:/extractor request_id="1,\nж",execution_time=0.12 1705314600123456768\n# c\n\nbad line\nm,t=a\\ b v=1i,w=-2u,x=T\nm v="open\n${GOOD}\n`,
);

test("truncated at every byte, each line is stored or counted, and the answer fits", async () => {
  const { rig, url } = await start();
  let [stored, lost] = [0, 0];
  for (let end = 0; end <= MIXED.length; end++) {
    const body = MIXED.subarray(0, end);
    const [good, bad] = linesOf(body);
    const { status } = await post(url + (end % 2 === 0 ? V1 : V3), body);
    expect(status, body.toString()).toBe(bad > 0 ? 400 : 204);
    stored += good;
    lost += bad;
    expect([rig.items, rig.lost]).toEqual([stored, lost]);
  }
});

test("gzip truncated at every byte is refused whole", async () => {
  const { rig, url } = await start();
  const packed = gzipSync(MIXED);
  for (let end = 1; end < packed.length; end++) {
    const headers = { "content-encoding": "gzip" };
    expect((await post(url + V3, packed.subarray(0, end), headers)).status).toBe(400);
  }
  expect([rig.items, rig.outcome("invalid")]).toEqual([0, packed.length - 1]);
});

test("any mix of lines: v3 stores the good ones and names each bad one, v2 stores all or none", async () => {
  const { rig, url } = await start();
  const line = fc.constantFrom(GOOD, "bad", "m v=", "", "# c", 'm s="a\nb"', "m v=1 x", "m,t v=1");
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
      const body = Buffer.from(lines.join("\n"));
      const [good, bad] = linesOf(body);
      const before = rig.items;
      const v3 = await post(url + V3, body);
      expect([v3.status, rig.items - before]).toEqual([bad > 0 ? 400 : 204, good]);
      if (bad > 0) {
        const { data } = JSON.parse(v3.text) as { data: { line_number: number }[] };
        const numbers = data.map(({ line_number }) => line_number);
        expect(numbers).toHaveLength(bad);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        expect(Math.max(...numbers)).toBeLessThanOrEqual(good + bad);
      }
      const between = rig.items;
      const v2 = await post(`${url}/api/v2/write?bucket=b`, body);
      expect([v2.status, rig.items - between]).toEqual(bad > 0 ? [400, 0] : [204, good]);
    }),
    { numRuns: 60 },
  );
});

test("ten times each limit costs the line or the request, in time", async () => {
  const { rig, url, address } = await start({ max_request_body_size: 4 << 20 });
  const over = [
    `${"m".repeat(655_360)} v=1`,
    `m,t=${"a".repeat(655_360)} v=1`,
    `m s="${"s".repeat((1 << 20) + 1)}"`,
    `m ${Array.from({ length: 100_000 }, (_, i) => `f${i}=1i`).join()}`,
    `m v=${"9".repeat(700_000)}i`,
    `m v=1 ${"1".repeat(200)}`,
  ];
  for (const line of over) {
    const { status, text } = await post(url + V3, `${GOOD}\n${line}\n${GOOD}`);
    const { data } = JSON.parse(text) as { data: { line_number: number }[] };
    expect([status, data.map((one) => one.line_number)], line.slice(0, 20)).toEqual([400, [2]]);
    expect(text.length).toBeLessThan(2_000);
  }
  expect([rig.items, rig.lost]).toEqual([2 * over.length, over.length]);
  expect((await post(url + V3, Buffer.alloc(40 << 20, "x"))).status).toBe(413);
  const bomb = gzipSync(Buffer.alloc(40 << 20, "\n"));
  expect((await post(url + V3, bomb, { "content-encoding": "gzip" })).status).toBe(413);
  const socket = await dial(address);
  socket.write(`POST ${V3}&x=${"x".repeat(160_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 431 /);
});

test("a large body is read in slices, whole or all its good lines", async () => {
  const { rig, url } = await start();
  const body = `${`${GOOD}\n`.repeat(200_000)}bad\n${GOOD}`;
  // CPU time between two turns of the loop: by the clock, a busy machine makes them long.
  let longest = 0;
  let seen = process.threadCpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(seen);
    longest = Math.max(longest, (user + system) / 1_000);
    seen = process.threadCpuUsage();
  }, 1);
  const [large, small] = await Promise.all([
    post(url + V3, body),
    sleep(30).then(() => post(url + V1, GOOD)),
  ]);
  clearInterval(timer);
  expect([large.status, small.status, rig.items]).toEqual([400, 204, 200_002]);
  expect(JSON.parse(large.text)).toMatchObject({ data: [{ line_number: 200_001 }] });
  expect(longest, "milliseconds that the loop stood still").toBeLessThan(1_000);
});

test("a sender that is too slow is answered 408, and holds nothing", async () => {
  const { rig, address } = await start({ read_timeout: "300ms" });
  const socket = await dial(address);
  socket.write(`POST ${V1} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`);
  const trickle = setInterval(() => socket.write("m"), 50);
  const [answer] = (await once(socket, "data")) as [Buffer];
  clearInterval(trickle);
  expect(answer.toString()).toMatch(/^HTTP\/1.1 408 /);
  await until(() => rig.budget.used === 0);
  expect(rig.items).toBe(0);
});

test("a sender that vanishes in the middle leaves nothing behind", async () => {
  const { rig, address } = await start();
  for (let i = 0; i < 20; i++) {
    const socket = await dial(address);
    socket.write(`POST ${V3} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${GOOD}\n`);
    await until(() => rig.budget.used > 0);
    socket.destroy();
    await until(() => rig.outcome("gone") > i);
  }
  expect([rig.items, rig.budget.used]).toEqual([0, 0]);
});

test("a sender that vanishes before the answer has its lines stored", async () => {
  const { rig, address } = await start();
  const socket = await dial(address);
  const { promise, resolve } = Promise.withResolvers<void>();
  let isSubmitted = false;
  rig.submitting = () => {
    isSubmitted = true;
    return promise;
  };
  socket.write(`POST ${V1} HTTP/1.1\r\nHost: x\r\nContent-Length: ${GOOD.length}\r\n\r\n${GOOD}`);
  await until(() => isSubmitted);
  socket.destroy();
  resolve();
  await until(() => rig.items === 1 && rig.budget.used === 0);
});

test("no memory for more: 503 with a pause, and the budget is whole again", async () => {
  const { rig, url } = await start();
  using _taken = rig.budget.take(rig.budget.limit - (64 << 10));
  const { status } = await post(url + V3, `${GOOD}\n`.repeat(50_000));
  expect([status, rig.items]).toEqual([503, 0]);
});

const fuzz = fuzzRounds(400);

test(
  "fuzz: damaged requests in a child with a kill timer",
  () => fuzzInChild("fuzz-influxdb.ts", fuzz),
  fuzz.limitMs + 5_000,
);
