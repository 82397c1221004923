import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { compressSync } from "snappy";
import { afterEach, expect, test } from "vitest";
import { encodePush } from "../../series/loki/push-proto.ts";
import { cpuMs } from "../../support/cpu.ts";
import { stopAll } from "../../support/http-receiver.ts";
import { until } from "../../support/until.ts";
import { jsonPush, oneEntry, pushOf, snapped } from "./cases.ts";
import { post, start, stored } from "./rig.ts";

afterEach(stopAll);

const PATH = "/loki/api/v1/push";
const JSON_TYPE = { "content-type": "application/json" };
const PROTOBUF = { "content-type": "application/x-protobuf" };
const NOW = BigInt(Date.now()) * 1_000_000n;
const GOOD = jsonPush({ app: "a" }, [String(NOW), "x"]);

test("compressed bodies truncated at every byte are refused whole", async () => {
  const { rig, url } = await start();
  const bodies = [
    [gzipSync(GOOD), { ...JSON_TYPE, "content-encoding": "gzip" }],
    [deflateRawSync(GOOD), { ...JSON_TYPE, "content-encoding": "deflate" }],
    [oneEntry('{a="b"}', NOW, "some line that has some length"), PROTOBUF],
  ] as const;
  for (const [body, headers] of bodies)
    for (let end = 0; end < body.length; end++)
      expect((await post(url + PATH, body.subarray(0, end), headers)).status).toBe(400);
  expect(rig.items).toBe(0);
  for (const [body, headers] of bodies)
    expect((await post(url + PATH, body, headers)).status).toBe(204);
  const zlib = { ...JSON_TYPE, "content-encoding": "deflate" };
  expect((await post(url + PATH, deflateSync(GOOD), zlib)).status).toBe(204);
  expect(rig.items).toBe(4);
});

test("bodies above the limit, before and after decompression: 413", async () => {
  const { rig, url } = await start({ max_request_body_size: 100_000 });
  const long = jsonPush({ app: "a" }, [String(NOW), "x".repeat(1_000_000)]);
  const gzip = { ...JSON_TYPE, "content-encoding": "gzip" };
  expect((await post(url + PATH, long)).status).toBe(413);
  expect((await post(url + PATH, gzipSync(long), gzip)).status).toBe(413);
  const line = "x".repeat(1_000_000);
  const entries = [{ nanos: NOW, line, metadata: [] }];
  const bomb = compressSync(Buffer.from(encodePush([{ labels: "{}", entries }])));
  expect(bomb.length).toBeLessThan(100_000);
  expect((await post(url + PATH, bomb, PROTOBUF)).status).toBe(413);
  const twice = gzipSync(bomb);
  expect((await post(url + PATH, twice, { ...PROTOBUF, "content-encoding": "gzip" })).status).toBe(
    413,
  );
  expect([rig.items, rig.outcome("too_large")]).toEqual([0, 4]);
});

test("ten times each limit costs the stream or the entry, in time, with a short answer", async () => {
  const { rig, url } = await start();
  const entry = [String(NOW), "x"];
  const many = (n: number) =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, "v"]));
  const streams = [
    { stream: many(150), values: [entry] },
    { stream: many(50_000), values: [entry] },
    { stream: { a: "v".repeat(4 << 20) }, values: [entry] },
    { stream: { ["a".repeat(10_240)]: "v" }, values: [entry] },
    { stream: { a: "b" }, values: [[String(NOW), "x".repeat(2_621_440)]] },
    { stream: { a: "b" }, values: [[String(NOW), "x", many(1_280)]] },
    { stream: { a: "b" }, values: [[String(NOW), "x", { k: "v".repeat(655_360) }]] },
  ];
  for (const stream of streams) {
    const good = { stream: { good: "yes" }, values: [[String(NOW), "good"]] };
    const body = JSON.stringify({ streams: [stream, good] });
    const send = async () => {
      const { status, text } = await post(url + PATH, body);
      expect(status).toBe(400);
      expect(text.length).toBeLessThan(20_000);
    };
    expect(await cpuMs(send)).toBeLessThan(3_000);
  }
  expect([rig.items, rig.lost]).toEqual([streams.length, streams.length]);
  const deep = `{"x":${"[".repeat(100_000)}${"]".repeat(100_000)},"streams":[]}`;
  expect((await post(url + PATH, deep)).status).toBe(400);
});

test("a large body is read in slices: its good entries are stored, its bad ones counted", async () => {
  const { rig, url } = await start();
  const values = Array.from({ length: 60_000 }, (_, i) => [
    String(i % 1_000 === 7 ? 1n : NOW + BigInt(i)),
    `line ${i} of many, long enough to make the body a large one`,
  ]);
  const body = jsonPush({ app: "a" }, ...values);
  expect(body.length).toBeGreaterThan(4 << 20);
  const answers = await Promise.all([post(url + PATH, body), post(url + PATH, GOOD)]);
  expect(answers.map(({ status }) => status)).toEqual([400, 204]);
  expect([rig.items, rig.lost]).toEqual([59_941, 60]);
  const entries = values.map(([time = "", line = ""]) => ({
    nanos: BigInt(time),
    line,
    metadata: [],
  }));
  const push = pushOf({ labels: '{app="a"}', entries });
  expect((await post(url + PATH, push, PROTOBUF)).status).toBe(400);
  expect([rig.items, rig.lost]).toEqual([59_941 + 59_940, 120]);
});

test("a sender that is slow gets its answer; one that leaves in the middle is counted and holds nothing", async () => {
  const { rig, address } = await start();
  const [host = "", port = ""] = address.split(":");
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${GOOD.length}\r\n\r\n`;
  const slow = connect(Number(port), host);
  let answer = "";
  slow.on("data", (text) => {
    answer += String(text);
  });
  slow.write(head);
  for (let at = 0; at < GOOD.length; at += 3) {
    slow.write(GOOD.slice(at, at + 3));
    await sleep(1);
  }
  await expect.poll(() => answer).toMatch(/^HTTP\/1.1 204 /);
  slow.destroy();
  const gone = connect(Number(port), host);
  gone.write(head + GOOD.slice(0, 10));
  await until(() => rig.budget.used > 0);
  gone.destroy();
  await expect.poll(() => rig.outcome("gone")).toBe(1);
  expect(stored(rig).length).toBe(1);
});

test("wrong types at every place of a push are refused, and never stored by half", async () => {
  const { rig, url } = await start();
  const at = String(NOW);
  const whole = `{"streams":[{"stream":{"a":"b"},"values":[["${at}","x",{"k":"v"}]]}]}`;
  const values = ["5", "[]", "{}", "true", '"text"', "-", "[[]]", "null"];
  // Of each place, what may stand there; Loki takes any label, and an entry without more.
  const places: readonly (readonly [string, readonly string[]])[] = [
    ['"b"', ["5", "[]", "{}", "true", '"text"', "[[]]", "null"]],
    ['{"a":"b"}', ["{}"]],
    [`"${at}"`, []],
    ['"x"', ['"text"']],
    ['{"k":"v"}', ["{}"]],
    ['"v"', ['"text"']],
    [`["${at}","x",{"k":"v"}]`, ["null"]],
    [`[["${at}","x",{"k":"v"}]]`, ["[]", "null"]],
  ];
  for (const [place, taken] of places)
    for (const value of values) {
      const before = rig.items;
      const { status } = await post(url + PATH, whole.replace(place, value));
      const isEntry = !place.startsWith("[");
      const wanted = taken.includes(value) ? [204, isEntry ? 1 : 0] : [400, 0];
      expect([status, rig.items - before], `${place} → ${value}`).toEqual(wanted);
    }
});

test("credentials: nothing is read without them", async () => {
  const { ReceiverRig } = await import("../../support/receiver-rig.ts");
  const rig = new ReceiverRig("loki");
  rig.authenticator = {
    start: async () => {},
    stop: async () => {},
    server: {
      check: (header) =>
        header("authorization") === "Bearer good"
          ? undefined
          : { why: "who are you?", challenge: "Bearer" },
    },
  };
  const { url } = await start({ auth: { authenticator: "bearer_token_auth" } }, rig);
  const denied = await post(url + PATH, snapped(new Uint8Array(0)), PROTOBUF);
  expect([denied.status, denied.text]).toEqual([401, "who are you?\n"]);
  const headers = { ...JSON_TYPE, authorization: "Bearer good" };
  expect((await post(url + PATH, GOOD, headers)).status).toBe(204);
  expect(rig.outcome("unauthorized")).toBe(1);
});
