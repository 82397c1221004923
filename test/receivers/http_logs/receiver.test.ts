import { connect } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { encode } from "@msgpack/msgpack";
import { afterEach, describe, expect, test } from "vitest";
import { PipelineError } from "../../../src/otlp/status.ts";
import { post, stopAll } from "../../support/http-receiver.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { snappyBlock, snappyFramed } from "../../support/snappy.ts";
import { until } from "../../support/until.ts";
import { start, stored } from "./rig.ts";
import { SENT, type Sent } from "./senders.ts";

afterEach(stopAll);

/** Sends a request as it stands on one connection; gives the status line of the answer. */
async function replay(address: string, { path, headers, body }: Sent): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  const head = Object.entries({
    Host: address,
    "Content-Length": String(body.length),
    ...headers,
    Connection: "close",
  });
  const socket = connect(Number(port), host);
  socket.end(
    Buffer.concat([
      Buffer.from(
        `POST ${path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
      ),
      body,
    ]),
  );
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer.split("\r\n", 1)[0] ?? "";
}

test("bodies in latin-1, as JSON and as MessagePack: U+FFFD for what is no UTF-8, counted by record", async () => {
  const { rig, url } = await start();
  const latin = Buffer.from(
    '{"message":"gr\xfcn","gr\xf6\xdfe":"\xe9"}\n{"message":"green"}',
    "latin1",
  );
  expect((await post(`${url}/logs/json`, latin)).status).toBe(200);
  const raw = Buffer.from("gr\xfcn", "latin1");
  const text = [0x81, ...encode("message"), 0xa4, ...raw];
  const bytes = [0x81, ...encode("message"), 0xc4, 4, ...raw];
  expect((await post(`${url}/logs/json`, Uint8Array.from([...text, ...bytes]))).status).toBe(200);
  expect(stored(rig).map(({ body, attributes }) => [body, attributes])).toEqual([
    ["gr\ufffdn", { "gr\ufffd\ufffde": "\ufffd" }],
    ["green", {}],
    ["gr\ufffdn", {}],
    // Of bytes that are no text, all are kept.
    [raw.toString("base64"), {}],
  ]);
  expect(rig.counts.get("weir_records_replaced_texts_total http_logs http")).toBe(2);
});

test("records without a time have one each, in their order; those with one, and those of ?time=, keep it", async () => {
  const { rig, url } = await start();
  const body = (from: number) =>
    Array.from({ length: 200 }, (_, i) => JSON.stringify({ message: from + i })).join("\n");
  await post(`${url}/logs/json`, body(0));
  await post(`${url}/logs/json`, body(200));
  const times = stored(rig).map(({ time }) => BigInt(time));
  expect(times.length).toBe(400);
  expect(times.slice(1).filter((time, i) => time <= (times[i] ?? 0n))).toEqual([]);
  rig.batches.length = 0;
  await post(
    `${url}/logs/json`,
    '{"message":"a","time":1705314600}{"message":"b","time":1705314600}',
  );
  await post(`${url}/logs/json?time=1705314601`, '{"message":"c"}{"message":"d"}');
  expect(stored(rig).map(({ time }) => time)).toEqual([
    "1705314600000000000",
    "1705314600000000000",
    "1705314601000000000",
    "1705314601000000000",
  ]);
});

describe("what senders send, byte for byte", () => {
  test.each(SENT)("$sender: $records records, 200", async (sent) => {
    const { rig, address } = await start();
    expect(await replay(address, sent)).toBe("HTTP/1.1 200 OK");
    expect(rig.items).toBe(sent.records);
    expect(rig.lost).toBe(0);
    expect(rig.outcome("accepted")).toBe(1);
  });

  test("the same records give the same rows in every format of Fluent Bit, but for the digits of their times and the tag", async () => {
    const { rig, url } = await start();
    const kinds = SENT.filter(({ sender }) => sender.startsWith("Fluent"));
    const rows: unknown[][] = [];
    for (const { path, body, headers, records } of kinds) {
      if (records === 1) continue;
      rig.batches.length = 0;
      await post(url + path, body, headers);
      rows.push(
        stored(rig).map(
          ({ attributes: { "fluent.tag": _, date: _date, ...attributes }, time, ...rest }) => ({
            ...rest,
            attributes,
            second: time.slice(0, 10),
          }),
        ),
      );
    }
    expect(rows.length).toBe(9);
    expect(rows[0]).toMatchObject([
      {
        body: "Job completed successfully",
        severity: "info",
        second: "1705314600",
        traceId: "5b8efff798038103d269b633813fc60c",
        attributes: { job_id: "job-12345", machine_id: "machine-prod-01" },
      },
      { body: 'plain text line with "quotes" and \\backslashes\\ and\ttab', second: "1795241804" },
      { body: "unicode é 漢字 🚀" },
      {},
      {},
      { body: "" },
      {},
    ]);
    for (const other of rows) expect(other).toEqual(rows[0]);
  });
});

describe("tags and times", () => {
  test.each([
    ["/logs/ingest", {}, undefined],
    ["/logs/json", { "X-Tag": "machine.logs" }, "machine.logs"],
    ["/worker-logs", {}, "worker-logs"],
    ["/app/web/", {}, "app.web"],
    ["/caf%C3%A9", {}, "café"],
    ["/50%", {}, "50%"],
    ["/", {}, undefined],
    ["/x", { "Fluent-Tag": "pm2.logs" }, "pm2.logs"],
    [`/${"t".repeat(2_000)}`, {}, "t".repeat(256)],
  ])("%s %j", async (path, headers, tag) => {
    const { rig, url } = await start();
    await post(url + path, '{"a":1}', headers);
    expect(stored(rig)[0]?.attributes["fluent.tag"]).toBe(tag);
  });

  test("?time= is that of records that have none", async () => {
    const { rig, url } = await start();
    await post(`${url}/t?time=1705314600.5`, '{"a":1}{"a":2,"date":1705314601}');
    await post(`${url}/t?time=1705314600`, encode({ a: 1 }));
    expect(stored(rig).map(({ time }) => time)).toEqual([
      "1705314600500000000",
      "1705314601000000000",
      "1705314600000000000",
    ]);
  });

  test("service_name is for records that do not name a service; headers for tags can be chosen", async () => {
    const { rig, url } = await start({ service_name: "workers", tag_headers: ["X-My"] });
    await post(`${url}/`, '{"a":1}{"service":"api"}', { "X-My": "mine", "X-Tag": "not" });
    expect(stored(rig).map(({ service }) => service)).toEqual(["workers", "api"]);
    expect(stored(rig)[0]?.attributes["fluent.tag"]).toBe("mine");
  });
});

describe("bodies by their content", () => {
  const two = '{"m":1}\n{"m":2}\n';
  const random = (below: number) => below >> 1;
  test.each<[string, Uint8Array, Record<string, string>]>([
    ["gzip without a header", gzipSync(two), {}],
    ["plain with a header for gzip", Buffer.from(two), { "Content-Encoding": "gzip" }],
    ["plain with a header for Brotli", Buffer.from(two), { "Content-Encoding": "br" }],
    ["plain with an unknown header", Buffer.from(two), { "Content-Encoding": "rot13" }],
    ["deflate", deflateSync(two), { "Content-Encoding": "deflate" }],
    ["deflate without a header", deflateSync(two), {}],
    ["Brotli", brotliCompressSync(two), { "Content-Encoding": "br" }],
    ["zstd as gzip", zstdCompressSync(two), { "Content-Encoding": "gzip" }],
    ["Snappy, a block", snappyBlock(Buffer.from(two), random), { "Content-Encoding": "snappy" }],
    ["Snappy, framed, without a header", snappyFramed(Buffer.from(two), random), {}],
    ["an array", Buffer.from('[{"m":1},{"m":2}]'), {}],
    ["arrays and white space", Buffer.from(' [ {"m":1} ]\r\n\t[{"m":2},]\n'), {}],
    ["objects without separators", Buffer.from('{"m":1}{"m":2}'), {}],
    ["a byte order mark", Buffer.from(`\ufeff${two}`), {}],
    ["MessagePack maps", Buffer.concat([encode({ m: 1 }), encode({ m: 2 })]), {}],
    [
      "a list of MessagePack maps",
      Buffer.from(encode([{ m: 1 }, { m: 2 }])),
      { "Content-Type": "application/json" },
    ],
    [
      "a list of entries",
      Buffer.from(
        encode([
          [1, { m: 1 }],
          [null, { m: 2 }],
        ]),
      ),
      {},
    ],
    ["a form of NDJSON", Buffer.from("ndjson=%7B%22m%22%3A1%7D%0A%7b%22m%22:2}"), {}],
    [
      "a form of MessagePack, behind a time",
      Buffer.from("time=1705314600&msgpack=%81%a1m%01%81%a1m%02&x=1"),
      {},
    ],
  ])("%s", async (_, body, headers) => {
    const { rig, url } = await start();
    expect((await post(`${url}/logs/ingest`, body, headers)).status).toBe(200);
    expect(stored(rig).map(({ attributes }) => attributes["m"])).toEqual(["1", "2"]);
    expect(rig.lost).toBe(0);
  });

  test.each(["", " \n", "[]", "[ , ]"])("%j holds no record: 200, nothing stored", async (body) => {
    const { rig, url } = await start();
    expect(await post(`${url}/x`, body)).toMatchObject({ status: 200, text: "" });
    expect([rig.items, rig.lost, rig.outcome("accepted")]).toEqual([0, 0, 1]);
  });
});

describe("bad input", () => {
  test.each<[string, string | Uint8Array, number, number, string]>([
    ["a bad line between good ones", '{"a":1}\n{"a":\n{"a":3}\n', 2, 1, "record 2: expected"],
    [
      "a bad object in an array without lines",
      '[{"a":1},{"a":tru},{"a":3}]',
      2,
      1,
      "record 2: expected a value",
    ],
    ["garbage lines", 'hello\n{"a":1}\nworld', 1, 2, "record 1: expected an object"],
    [
      "elements that are no objects",
      '[1,"a,b]",{"a":1},null]',
      1,
      3,
      "record 1: expected an object",
    ],
    ["an array that is not closed", '[{"a":1}', 1, 1, "record 2: an array has no closing bracket"],
    [
      "a line that opens what no line closes",
      '{"a":1}\n{"a":[{\n{"a":2}\n{"a":3}',
      3,
      1,
      "record 2",
    ],
    [
      "MessagePack that is cut off",
      Buffer.concat([encode({ a: 1 }), encode({ a: "long" }).subarray(0, 5)]),
      1,
      1,
      "the record is cut off",
    ],
    [
      "a MessagePack list that is cut off",
      encode([{ a: 1 }, { a: 2 }]).subarray(0, 5),
      1,
      1,
      "a list is cut off",
    ],
    [
      "values between MessagePack maps",
      Buffer.concat([encode({ a: 1 }), encode(5), encode("x"), encode({ a: 2 })]),
      2,
      2,
      "neither a map nor a list",
    ],
  ])("%s: the good records are stored, the bad ones counted", async (_, body, good, bad, why) => {
    const { rig, url } = await start();
    const { status, text } = await post(`${url}/logs/ingest`, body);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ accepted: good, rejected: bad });
    expect(text).toContain(why);
    expect([rig.items, rig.lost, rig.outcome("partial")]).toEqual([good, bad, 1]);
  });

  test.each<[string, string | Uint8Array]>([
    ["text", "hello world"],
    ["an HTML page", "<html></html>"],
    ["half an object", '{"a":'],
    ["MessagePack cut off", encode({ a: 1 }).subarray(0, 2)],
    ["a byte that is no MessagePack", Uint8Array.of(0x91, 0xc1)],
    ["a form of garbage", "json=hello"],
  ])("%s: 400, which no sender repeats", async (_, body) => {
    const { rig, url } = await start();
    const { status, text } = await post(`${url}/logs/ingest`, body);
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ accepted: 0, rejected: 1 });
    expect([rig.items, rig.lost, rig.outcome("invalid")]).toEqual([0, 1, 1]);
  });

  test("bad records are said in the log once a minute, with their number", async () => {
    const { rig, url } = await start();
    for (let i = 0; i < 5; i++) await post(`${url}/x`, "nonsense");
    const said = rig.said.filter((text) => text.startsWith("records were rejected"));
    expect(said.length).toBe(1);
    expect(said[0]).toContain("expected an object");
  });

  test("a body cut off at any byte: what is whole is stored, the rest is counted, and nothing hangs", async () => {
    const { rig, url } = await start();
    const bodies = [
      Buffer.from('[{"a":"x"},\n{"b":[1,{"c":2}]}]'),
      Buffer.from(
        encode([
          [1, { a: "x" }],
          [1, { b: [1, { c: 2 }] }],
        ]),
      ),
    ];
    for (const body of bodies)
      for (let end = 1; end < body.length; end++) {
        const before = [rig.items, rig.lost];
        const { status } = await post(`${url}/x`, body.subarray(0, end));
        const good = rig.items - (before[0] ?? 0);
        expect(rig.lost - (before[1] ?? 0)).toBeGreaterThan(0);
        expect(status).toBe(good > 0 ? 200 : 400);
      }
    expect(rig.items).toBeGreaterThan(20);
  });

  test("limits: bodies, before and after decompression, and forms", async () => {
    const { rig, url } = await start({ max_request_body_size: 1_000 });
    const long = JSON.stringify({ a: "x".repeat(1_000) });
    expect((await post(`${url}/x`, long)).status).toBe(413);
    const { status, text } = await post(`${url}/x`, gzipSync(long));
    expect(status).toBe(413);
    expect(text).toContain("1000");
    const other = await start();
    const form = await post(`${other.url}/x`, `json=${"%20".repeat(3 << 20)}`);
    expect(form.status).toBe(413);
    expect(form.text).toContain("a form has at most");
    expect(rig.outcome("too_large")).toBe(2);
  });

  test("damaged compression is 400", async () => {
    const { rig, url } = await start();
    expect((await post(`${url}/x`, gzipSync('{"a":1}').subarray(0, 15))).status).toBe(400);
    expect(rig.outcome("invalid")).toBe(1);
  });

  test("other methods: 405; a client that leaves in the middle is counted and holds nothing", async () => {
    const { rig, url, address } = await start();
    const got = await fetch(`${url}/logs/ingest`);
    expect([got.status, got.headers.get("allow")]).toEqual([405, "POST, PUT"]);
    expect((await post(`${url}/logs/ingest`, '{"a":1}', {}, "PUT")).status).toBe(200);
    const [host = "", port = ""] = address.split(":");
    const socket = connect(Number(port), host);
    socket.write("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    await until(() => rig.budget.used > 0);
    socket.destroy();
    await expect.poll(() => rig.outcome("gone")).toBe(1);
  });
});

describe("the house", () => {
  test("full: 503 with a pause, before the body is read; a failed disk: 503; credentials: 401", async () => {
    const rig = new ReceiverRig("http_logs");
    const { url } = await start({}, rig);
    rig.refusals.push({ kind: "refused", retryAfterMs: 1_000, why: "the queue is full" });
    const full = await post(`${url}/x`, '{"a":1}');
    expect([full.status, full.text.includes("the queue is full")]).toEqual([503, true]);
    expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0);
    rig.submitting = () =>
      Promise.reject(new PipelineError({ kind: "unavailable", retryAfterMs: 1_000, why: "disk" }));
    expect((await post(`${url}/x`, '{"a":1}')).status).toBe(503);
    rig.submitting = () => Promise.reject(new Error("secret"));
    const broken = await post(`${url}/x`, '{"a":1}');
    expect([broken.status, broken.text.includes("secret")]).toEqual([500, false]);
    expect([rig.items, rig.lost]).toEqual([0, 0]);
  });

  test("auth: who has no credentials gets 401 and a challenge", async () => {
    const rig = new ReceiverRig("http_logs");
    rig.authenticator = {
      start: async () => {},
      stop: async () => {},
      server: {
        check: (header) =>
          header("authorization") === "Bearer t"
            ? undefined
            : { why: "no token", challenge: "Bearer" },
      },
    };
    const { url } = await start({ auth: { authenticator: "bearer_token_auth" } }, rig);
    const denied = await post(`${url}/x`, '{"a":1}');
    expect([
      denied.status,
      denied.headers.get("www-authenticate"),
      rig.outcome("unauthorized"),
    ]).toEqual([401, "Bearer", 1]);
    expect((await post(`${url}/x`, '{"a":1}', { Authorization: "Bearer t" })).status).toBe(200);
  });

  test("the answer comes after the records are durable", async () => {
    const rig = new ReceiverRig("http_logs");
    let finish = () => {};
    rig.submitting = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const { url } = await start({}, rig);
    let isAnswered = false;
    const answer = post(`${url}/x`, '{"a":1}').then(() => {
      isAnswered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isAnswered).toBe(false);
    finish();
    await answer;
  });

  test("a large body goes in steps: others have their turn, all of it is stored, and the memory is taken from the budget first", async () => {
    const rig = new ReceiverRig("http_logs");
    const { url } = await start({}, rig);
    const line = `${JSON.stringify({ message: "x".repeat(80), a: 1, b: "two" })}\n`;
    const rows = 20_000;
    const large = post(`${url}/x`, line.repeat(rows));
    const small = await post(`${url}/x`, line);
    expect([small.status, (await large).status]).toEqual([200, 200]);
    expect(rig.items).toBe(rows + 1);
    // A hostile body of tiny members makes a request several times its size: refused when the budget has no room for it.
    const members = Array.from({ length: 128 }, (_, i) => `"${i}":1`).join();
    const wide = `{"${"p".repeat(60)}":{${members}}}`.repeat(4_000);
    using _taken = rig.budget.take(rig.budget.limit - (16 << 20));
    const refused = await post(`${url}/x`, wide);
    expect(refused.status).toBe(503);
    expect(rig.items).toBe(rows + 1);
  });
});
