import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import { leastCpuMs } from "../../support/cpu.ts";
import { encodePoints } from "../../support/datakit-proto.ts";
import { dial, readAll } from "../../support/otlp-door.ts";
import { until } from "../../support/until.ts";
import { type DatakitDoor, datakitDoor } from "./door.ts";

const GOOD = "m,t=a v=1i 1705314600000000000";
const SECOND = 1_000_000_000n;
const MIB = 1 << 20;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(options: object = {}): Promise<DatakitDoor & { readonly address: string }> {
  const door = await datakitDoor(options);
  stops.push(door.stop);
  return { ...door, address: door.url.slice("http://".length) };
}

function post(url: string, path: string, body: string | Uint8Array, headers = {}) {
  return fetch(url + path, { method: "POST", body, headers: { "content-type": "x", ...headers } });
}

describe("what clients ask", () => {
  test("ping, ntp and the root", async () => {
    const { url } = await start({ tokens: ["t"] });
    const ping = await fetch(`${url}/v1/ping`);
    expect(ping.status).toBe(200);
    expect(await ping.json()).toEqual({
      content: { version: "weir", uptime: "0s", host: hostname(), commit: "" },
    });
    const { timestamp_sec: seconds } = (await (await fetch(`${url}/v1/ntp`)).json()) as {
      timestamp_sec: number;
    };
    expect(Math.abs(seconds - Date.now() / 1_000)).toBeLessThan(5);
    expect((await fetch(`${url}/`)).status).toBe(200);
    const head = await fetch(`${url}/v1/ping`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await fetch(`${url}/v1/ping`, { method: "DELETE" })).status).toBe(404);
  });

  test("an authenticator stands before all of it, and answers in DataKit's words", async () => {
    const rigged = await datakitDoor({ auth: { authenticator: "bearer_token_auth" } }, (rig) => {
      rig.authenticator = {
        server: { check: () => ({ why: "the token is not known here", challenge: "Bearer" }) },
        start: async () => {},
        stop: async () => {},
      };
    });
    stops.push(rigged.stop);
    for (const path of ["/v1/ping", "/v1/write/metric"]) {
      const answer = await post(rigged.url, path, GOOD);
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect(await answer.json()).toEqual({
        error_code: "datakit.invalidToken",
        message: "the token is not known here",
      });
    }
    expect(rigged.rig.outcome("unauthorized")).toBe(2);
  });
});

describe("times", () => {
  test.each<[string, string, bigint]>([
    ["", "1705314600", 1_705_314_600n * SECOND],
    ["", "1705314600123", 1_705_314_600_123_000_000n],
    ["", "1705314600123456", 1_705_314_600_123_456_000n],
    ["", "1705314600123456789", 1_705_314_600_123_456_789n],
    ["?precision=n", "1705314600", 1_705_314_600n],
    ["?precision=odd", "1705314600", 1_705_314_600n],
    ["?precision=constructor", "1705314600", 1_705_314_600n],
    ["?precision=__proto__", "1705314600", 1_705_314_600n],
    ["?precision=u", "5", 5_000n],
    ["?precision=us", "5", 5_000n],
    ["?precision=ms", "5", 5_000_000n],
    ["?precision=s", "5", 5n * SECOND],
    ["?precision=m", "5", 300n * SECOND],
    ["?precision=h", "5", 18_000n * SECOND],
  ])("%s %s", async (query, digits, nanos) => {
    const { rig, url } = await start();
    await post(url, `/v1/write/metric${query}`, `m v=1 ${digits}`);
    expect(rig.records().map(({ time }) => BigInt(time))).toEqual([nanos]);
  });

  test("a point without a time has that of its arrival, so a repeat of it is a new row", async () => {
    const { rig, url } = await start();
    const before = BigInt(Date.now()) * 1_000_000n;
    await post(url, "/v1/write/metric", "m v=1");
    await sleep(5);
    await post(url, "/v1/write/metric", "m v=1");
    const times = rig.records().map(({ time }) => BigInt(time));
    expect(times[0]).toBeGreaterThanOrEqual(before);
    expect(times[1]).toBeGreaterThan(times[0] as bigint);
  });
});

test("a category that is neither metric nor logging is told beside the points", async () => {
  const { rig, url } = await start({ service_name: "svc" });
  await post(url, "/v1/write/tracing", "ddtrace,service=s v=1");
  await post(url, "/v1/write/metric", "cpu v=1");
  await post(url, "/v1/write/object", "HOST v=1");
  expect(rig.records().map(({ event, resource }) => [event, resource])).toEqual([
    ["ddtrace", { "datakit.category": "tracing", "service.name": "s" }],
    ["cpu", { "service.name": "svc" }],
    ["HOST", { "datakit.category": "object", "service.name": "svc" }],
  ]);
});

test("what names lose on their way into a line is counted", async () => {
  const { rig, url } = await start();
  const fields = [
    { key: "v\u0001", i: "1" },
    { key: "t", s: "a\\", is_tag: true },
  ];
  await post(url, "/v1/write/metric", JSON.stringify([{ name: "m\u0002", fields }]));
  const asProtobuf = fields.map(({ is_tag: isTag, ...field }) => ({ ...field, isTag }));
  await post(url, "/v1/write/metric", encodePoints([{ name: "m\u0002", fields: asProtobuf }]), {
    "content-type": "application/protobuf; proto=com.guance.Point",
  });
  expect(rig.counts.get("weir_lines_lost_characters_total datakit http")).toBe(6);
  expect(new Set(rig.records().map(({ event }) => event))).toEqual(new Set(["m"]));
});

test("echo: the good points as DataKit repeats them", async () => {
  const { rig, url } = await start();
  const body = 'm\\ x,t\\,1=a\\ b f=1.5,i=-1i,u=2u,b=T,s="x\\"y",l=[1,"a"],d="aGk="b 1705314600';
  const told = async (query: string) => (await post(url, `/v1/write/metric?${query}`, body)).text();
  expect(await told("echo=lp")).toBe(
    'm\\ x,t\\,1=a\\ b f=1.5,i=-1i,u=2u,b=true,s="x\\"y",l="[1,\\"a\\"]",d="aGk=" 1705314600000000000',
  );
  expect(await told("echo_line_proto=1")).toBe(await told("echo=lp&dry=1"));
  const simple =
    '[{"measurement":"m x","tags":{"t,1":"a b"},"fields":{"f":1.5,"i":-1,"u":2,"b":true,"s":"x\\"y","l":"[1,\\"a\\"]","d":"aGk="},"time":1705314600000000000}]';
  expect(await told("echo=json")).toBe(simple);
  expect(await told("echo_json=x")).toBe(simple);
  const pbjson = await told("echo=pbjson");
  expect(JSON.parse(pbjson)).toEqual([
    {
      name: "m x",
      fields: [
        { key: "f", f: 1.5 },
        { key: "i", i: "-1" },
        { key: "u", u: "2" },
        { key: "b", b: true },
        { key: "s", s: 'x"y' },
        { key: "l", s: '[1,"a"]' },
        { key: "d", s: "aGk=" },
        { key: "t,1", s: "a b", is_tag: true },
      ],
      time: "1705314600000000000",
    },
  ]);
  // What is repeated is a body that means the same.
  const again = await post(url, "/v1/write/metric?echo=json&dry=1", pbjson, {
    "content-type": "application/pbjson; proto=com.guance.Point",
  });
  expect(await again.text()).toBe(simple);
  expect(await told("echo=xml")).toBe("");
  expect(rig.items).toBe(6);
  const large = await post(url, "/v1/write/metric?echo=lp", `${GOOD}\n`.repeat(40_000));
  expect([large.status, await large.json()]).toEqual([
    400,
    { error_code: "datakit.badRequest", message: "echo is for bodies of at most 1048576 bytes" },
  ]);
  expect([rig.items, rig.lost], "nothing of it is stored").toEqual([6, 0]);
});

describe("heads", () => {
  const request = (headers: string) =>
    `POST /v1/write/metric HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${GOOD.length}\r\n${headers}\r\n${GOOD}`;

  test("a megabyte of ids is taken, ten are not, and both are charged no longer than they are there", async () => {
    const { rig, address } = await start();
    const ids = Array.from({ length: 39_000 }, (_, i) => `sapi-${String(i).padStart(20, "0")}`);
    const socket = await dial(address);
    socket.write(request(`X-DFF-Origin-ID: ${ids.join()}\r\n`));
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 /);
    expect(rig.items).toBe(1);
    const huge = await dial(address);
    huge.write(request(`X-DFF-Origin-ID: ${"x".repeat(10 * MIB)}\r\n`));
    // The answer is lost where the client is still sending when the connection ends.
    const told = await readAll(huge).catch((error: NodeJS.ErrnoException) => error.code);
    expect(told).toMatch(/^(HTTP\/1\.1 431 |ECONNRESET$)/);
    expect(rig.items).toBe(1);
  });

  test("they count against the memory of requests in flight", async () => {
    const { rig, address } = await start();
    let used = 0;
    rig.submitting = async () => {
      used = rig.budget.used;
    };
    const socket = await dial(address);
    socket.write(request(`X-DFF-Origin-ID: ${"x".repeat(500_000)}\r\n`));
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 200 /);
    expect(used).toBeGreaterThan(500_000);
  });

  test("a head that never ends is cut", async () => {
    const { address } = await start({ read_header_timeout: "200ms" });
    const socket = await dial(address);
    socket.write("POST /v1/write/metric?token=tkn_secret HTTP/1.1\r\nX-");
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe("the answer comes when the points are where they are promised to be", () => {
  test("not before", async () => {
    const { rig, url } = await start();
    const gate = Promise.withResolvers<void>();
    rig.submitting = () => gate.promise;
    let isAnswered = false;
    const answer = post(url, "/v1/write/metric", GOOD).then(({ status }) => {
      isAnswered = true;
      return status;
    });
    await sleep(100);
    expect(isAnswered).toBe(false);
    gate.resolve();
    expect(await answer).toBe(200);
  });

  test.each([
    ["refused", 503, "reachMaxAPILimit"],
    ["unavailable", 503, "unexpectedInternalServerError"],
    ["internal", 500, "unexpectedInternalServerError"],
  ] as const)(
    "%s while storing: %i, and nothing is counted as lost",
    async (kind, status, code) => {
      const { rig, url } = await start();
      rig.submitting = () =>
        Promise.reject(new PipelineError({ kind, retryAfterMs: 2_000, why: "the disk is full" }));
      const answer = await post(url, "/v1/write/metric", `${GOOD}\nbad`);
      expect(answer.status).toBe(status);
      expect(answer.headers.get("retry-after") ?? "").toMatch(status === 503 ? /^[2-5]$/ : /^$/);
      expect(await answer.json()).toEqual({
        error_code: `datakit.${code}`,
        message: kind === "internal" ? "internal error" : "the disk is full",
      });
      expect(rig.lost).toBe(0);
      rig.submitting = async () => {};
      await post(url, "/v1/write/metric", `${GOOD}\nbad`);
      expect([rig.items, rig.lost]).toEqual([1, 1]);
    },
  );

  test("a full service refuses before the body is read", async () => {
    const { rig, address } = await start();
    rig.refusals.push({ kind: "refused", retryAfterMs: 3_000, why: "the queue is full" });
    const socket = await dial(address);
    socket.write("POST /v1/write/metric HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n");
    const told = await readAll(socket);
    expect(told).toMatch(/^HTTP\/1\.1 503 /);
    expect(told).toMatch(/Retry-After: [3-5]\r\n/i);
    expect(told).toContain('{"error_code":"datakit.reachMaxAPILimit"');
  });
});

test("a slow sender is waited for, up to the limit; one that vanishes leaves nothing", async () => {
  const { rig, address } = await start({ read_timeout: "2s" });
  const head = `POST /v1/write/metric HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${GOOD.length}\r\n\r\n`;
  const slow = await dial(address);
  slow.write(head);
  for (const part of [GOOD.slice(0, 9), GOOD.slice(9)]) {
    await sleep(60);
    slow.write(part);
  }
  expect(await readAll(slow)).toMatch(/^HTTP\/1\.1 200 /);
  const never = await dial(address);
  never.write(head + GOOD.slice(0, 5));
  const gone = await dial(address);
  gone.write(head + GOOD.slice(0, 5));
  await until(() => rig.budget.used > 0);
  gone.destroy();
  expect(await readAll(never)).toMatch(/^HTTP\/1\.1 408 /);
  await until(() => rig.budget.used === 0);
  await until(() => rig.outcome("gone") === 2);
  expect([rig.items, rig.lost]).toEqual([1, 0]);
});

test("bodies cut at every byte: an answer each, and no line that was not sent", async () => {
  const { rig, url } = await start();
  const body = 'a,t=1 v=1i,s="x\ny" 1705314600000000000\nb v=2 1705314600000000000\n';
  for (const whole of [Buffer.from(body), gzipSync(body)])
    for (let end = 1; end < whole.length; end++) {
      const { status } = await post(url, "/v1/write/logging", whole.subarray(0, end));
      expect([200, 400]).toContain(status);
    }
  const events = new Set(rig.records().map(({ event, attributes }) => event + attributes["s"]));
  expect([...events].sort()).toEqual(["ax\ny", "aundefined", "bundefined"].sort());
});

test("five hundred connections of one request each take no second of a core", async () => {
  const { rig, address } = await start();
  const line = `POST /v1/write/metric HTTP/1.1\r\nHost: x\r\nContent-Length: ${GOOD.length}\r\nConnection: close\r\n\r\n${GOOD}`;
  const one = async () => {
    const socket = await dial(address);
    socket.write(line);
    return readAll(socket);
  };
  const all = async () => {
    const answers: string[] = [];
    for (let wave = 0; wave < 10; wave++)
      answers.push(...(await Promise.all(Array.from({ length: 50 }, one))));
    expect(answers.filter((answer) => answer.startsWith("HTTP/1.1 200 "))).toHaveLength(500);
  };
  // With the half of the clients, and twice the second for a machine whose cores are shared.
  expect(await leastCpuMs(all), "ms").toBeLessThan(2_000);
  expect(rig.items).toBe(1_500);
});

test("large bodies are read in slices, beside small ones, and nothing is mixed up", async () => {
  const { rig, url } = await start();
  const large = (name: string) =>
    Array.from({ length: 120_000 }, (_, i) => `${name},t=x v=${i}i 1705314600000000000`).join("\n");
  const bodies = [large("large_p"), large("large_q")];
  let isDone = false;
  const small = (async () => {
    let sent = 0;
    for (; !isDone; sent++)
      await post(url, "/v1/write/metric", "small,t=x v=1i 1705314600000000000");
    return sent;
  })();
  const answers = await Promise.all(bodies.map((body) => post(url, "/v1/write/metric", body)));
  isDone = true;
  const sent = await small;
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(sent).toBeGreaterThan(3);
  const names = ["large_p", "large_q", "small"];
  const items = new Map<string, number>();
  for (const batch of rig.batches) {
    const text = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.length);
    const [name = "", ...others] = names.filter((one) => text.includes(one));
    expect(others).toEqual([]);
    items.set(name, (items.get(name) ?? 0) + batch.items);
  }
  expect(names.map((name) => items.get(name))).toEqual([120_000, 120_000, sent]);
  expect(rig.lost).toBe(0);
});

test("what is larger than the memory of all requests is refused for good", async () => {
  const { rig, url } = await start({ max_request_body_size: 512 * MIB });
  const answer = await post(
    url,
    "/v1/write/metric",
    gzipSync(Buffer.alloc(300 * MIB, `${GOOD}\n`)),
  );
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ error_code: "datakit.badRequest" });
  expect([rig.items, rig.lost]).toEqual([0, 0]);
});

test("ten times the limits of a line and of a point: each costs itself", async () => {
  const { rig, url } = await start();
  const text = "x".repeat(10 << 20);
  const names = Array.from({ length: 100_000 }, (_, i) => `k${i}=1`).join();
  const lines = [`m s="${text}"`, GOOD, `m,t=${"y".repeat(700_000)} v=1`, `m ${names}`, GOOD];
  const answer = await post(url, "/v1/write/metric", lines.join("\n"));
  expect(answer.status).toBe(400);
  const told = await answer.text();
  expect(told).toContain("with 2 point parse ok, 3 points failed.");
  // What is repeated of the sender's data is bounded.
  expect(told.length).toBeLessThan(10_000);
  expect([rig.items, rig.lost]).toEqual([2, 3]);
  const points = [{ s: text.slice(0, 3 << 20) }, { v: 1 }].map((fields) => ({
    measurement: "m",
    fields,
  }));
  const nested = `{"measurement":"m","fields":{"v":${"[".repeat(640)}${"]".repeat(640)}}}`;
  const body = `[${points.map((point) => JSON.stringify(point)).join()},${nested}]`;
  await post(url, "/v1/write/metric", body, { "content-type": "application/json" });
  expect([rig.items, rig.lost]).toEqual([3, 5]);
});

test("bad lines are said once a minute, without what was in them; tokens nowhere", async () => {
  const { rig, url } = await start({ tokens: ["tkn_secret"] });
  const path = "/v1/write/logging?token=tkn_secret";
  for (let i = 0; i < 5; i++) await post(url, path, `${GOOD}\nprivate,x`);
  await post(url, "/v1/write/logging?token=tkn_wrong", GOOD);
  await post(url, "/v1/other?token=tkn_wrong", GOOD);
  expect(rig.said).toHaveLength(1);
  expect(rig.said[0]).toContain("line 2, byte 10: expected a tag key");
  expect(rig.rejected).toHaveLength(5);
  const everything = [...rig.said, ...rig.counts.keys(), JSON.stringify(rig.rejected)].join();
  expect(everything).not.toMatch(/tkn_|private/);
});

test("a stop lets what is in flight end", async () => {
  const door = await datakitDoor();
  const gate = Promise.withResolvers<void>();
  door.rig.submitting = () => gate.promise;
  const answer = post(door.url, "/v1/write/metric", GOOD);
  await until(() => door.rig.budget.used > 0);
  const stopped = door.stop();
  gate.resolve();
  expect((await answer).status).toBe(200);
  await stopped;
  await expect(post(door.url, "/v1/write/metric", GOOD)).rejects.toThrow();
});
