import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { createBudget } from "../../../src/kit/budget.ts";
import {
  createHttpServer,
  type HttpAnswer,
  type HttpRequest,
  type HttpServer,
  type HttpServerOptions,
} from "../../../src/kit/server/http-server.ts";
import { PipelineError } from "../../../src/otlp/status.ts";
import { SLACK } from "../../../src/wire/slack.ts";
import { ownMs } from "../../support/core-waits.ts";
import { dial, readAll } from "../../support/otlp-door.ts";
import { until } from "../../support/until.ts";

const MIB = 1024 * 1024;
const servers: HttpServer[] = [];
const troubles: Error[] = [];

afterEach(async () => {
  troubles.length = 0;
  for (const server of servers.splice(0)) await server.stop(AbortSignal.abort());
});

async function serve(
  onRequest: HttpServerOptions["onRequest"],
  options: Partial<HttpServerOptions> = {},
): Promise<string> {
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "test server",
    onTrouble: (error) => troubles.push(error),
    onRequest,
    ...options,
  });
  servers.push(server);
  await server.start();
  return server.address() as string;
}

/** Says how many bytes came. */
async function count(request: HttpRequest): Promise<HttpAnswer> {
  const { bytes, length } = await request.readBody(MIB);
  const sum = bytes.subarray(0, length).reduce((total, byte) => total + byte, 0);
  return { status: 200, body: `${length} ${sum} ${bytes.buffer.byteLength - length >= SLACK}` };
}

test("method, path, query and headers arrive as they were sent", async () => {
  const address = await serve((request) => ({
    status: 200,
    contentType: "application/json",
    body: JSON.stringify({
      method: request.method,
      path: request.path,
      query: request.query,
      agent: request.header("user-agent"),
      bytes: request.declaredBytes,
      from: request.remoteAddress,
    }),
  }));
  const answer = await fetch(`http://${address}/a/b%20c?x=1&y=%2f`, {
    headers: { "user-agent": "me" },
  });
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(await answer.json()).toEqual({
    method: "GET",
    path: "/a/b%20c",
    query: "x=1&y=%2f",
    agent: "me",
    bytes: 0,
    from: "127.0.0.1",
  });
});

test.each([0, 1, 1_000, 37_000, 70_000, MIB])(
  "a body of %d bytes, in one buffer with slack",
  async (size) => {
    const address = await serve(count);
    const body = Buffer.alloc(size, 1);
    const whole = await fetch(`http://${address}/`, { method: "POST", body });
    expect(await whole.text()).toBe(`${size} ${size} true`);
    const init = { method: "POST", body: new Blob([body]).stream(), duplex: "half" } as RequestInit;
    const chunked = await fetch(`http://${address}/`, init);
    expect(await chunked.text()).toBe(`${size} ${size} true`);
  },
);

test("S3: one-byte chunks end up in one buffer, and the lease grows with them", async () => {
  const budget = createBudget(MIB);
  let granted = 0;
  const address = await serve(async (request) => {
    using lease = budget.take(0);
    const { length } = await request.readBody(MIB, lease);
    granted = lease?.bytes ?? -1;
    return { status: 200, body: String(length) };
  });
  const socket = await dial(address);
  socket.write(
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
  );
  socket.write("1\r\na\r\n".repeat(100_000));
  socket.write("0\r\n\r\n");
  expect(await readAll(socket)).toContain("\r\n\r\n100000");
  expect(granted).toBeLessThanOrEqual(2 * 100_000);
  expect(budget.used).toBe(0);
});

test("a chunked body stops at the limit and at the end of the budget", async () => {
  const budget = createBudget(200_000);
  const address = await serve(async (request) => {
    using lease = budget.take(0);
    return { status: 200, body: String((await request.readBody(150_000, lease)).length) };
  });
  const send = (size: number) => {
    const body = new Blob([Buffer.alloc(size)]).stream();
    return fetch(`http://${address}/`, { method: "POST", body, duplex: "half" } as RequestInit);
  };
  expect((await send(150_000)).status).toBe(200);
  const tooLarge = await send(150_001);
  expect([tooLarge.status, await tooLarge.text()]).toEqual([
    413,
    expect.stringContaining("150000"),
  ]);
  using other = budget.take(120_000);
  const full = await send(150_000);
  expect(other?.bytes).toBe(120_000);
  expect([full.status, full.headers.has("retry-after")]).toEqual([503, true]);
  expect(budget.used).toBe(120_000);
});

test("a refusal is read by a client that is still sending, and the body is not", async () => {
  const address = await serve(() => ({ status: 413, body: "too much" }));
  for (let i = 0; i < 5; i++) {
    const answer = await fetch(`http://${address}/`, {
      method: "POST",
      body: Buffer.alloc(20 * MIB),
    });
    expect([answer.status, answer.headers.get("connection")]).toEqual([413, "close"]);
    expect(await answer.text()).toBe("too much");
  }
});

test("a small unread body does not cost the connection", async () => {
  const address = await serve(() => ({ status: 503 }));
  const socket = await dial(address);
  const message = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`;
  let seen = "";
  socket.on("data", (chunk) => {
    seen += chunk;
  });
  socket.write(message);
  await until(() => seen.includes("503"));
  socket.write(message);
  await until(() => seen.split("503").length === 3);
  expect(seen).not.toContain("close");
  socket.destroy();
});

test("a client that lingers after a refusal is cut", async () => {
  const address = await serve(() => ({ status: 413 }));
  const socket = await dial(address);
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  const cut = async () => expect(await readAll(socket)).toContain("413");
  expect(await ownMs(cut)).toBeLessThan(4_000);
});

test("Expect: 100-continue: the refusal comes instead of the invitation", async () => {
  const address = await serve((request) =>
    request.path === "/no" ? { status: 413 } : count(request),
  );
  const head = "HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
  const refused = await dial(address);
  refused.end(`POST /no ${head}\r\n`);
  const answer = await readAll(refused);
  expect(answer).toContain("413");
  expect(answer).not.toContain("100 Continue");
  const invited = await dial(address);
  invited.write(`POST /yes ${head}Connection: close\r\n\r\n`);
  await once(invited, "data").then(([chunk]) => expect(String(chunk)).toContain("100 Continue"));
  invited.write("\x01\x01\x01\x01\x01");
  expect(await readAll(invited)).toContain("5 5 true");
});

test("S7: slow heads and slow bodies are ended with 408", async () => {
  const address = await serve(count, { headersTimeoutMs: 200, requestTimeoutMs: 400 });
  const head = await dial(address);
  head.write("POST / HTTP/1.1\r\nHost: x");
  const body = await dial(address);
  body.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  const ends = async () => {
    const answers = await Promise.all([readAll(head), readAll(body)]);
    for (const answer of answers) expect(answer).toContain("408 Request Timeout");
  };
  expect(await ownMs(ends)).toBeLessThan(3_000);
});

test("S9: a client that goes away wakes the reader at once, at any point", async () => {
  const budget = createBudget(MIB);
  const ends: string[] = [];
  const address = await serve(async (request) => {
    using _lease = budget.take(1_000);
    try {
      return await count(request);
    } catch (error) {
      ends.push((error as Error).name);
      throw error;
    }
  });
  const message = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n${"x".repeat(100)}`;
  for (let cut = 0; cut <= message.length; cut += 3) {
    const socket = await dial(address);
    socket.write(message.slice(0, cut));
    if (cut % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  }
  await until(() => budget.used === 0 && ends.length > 10);
  expect(new Set(ends)).toEqual(new Set(["ClientGone"]));
  expect(troubles).toEqual([]);
});

test("S6: what is not HTTP is answered with an error and closed", async () => {
  const address = await serve(count);
  const cases: [string, RegExp][] = [
    ["hello\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    [
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    ["POST / HTTP/1.1\r\nHost : x\r\n\r\n", /^HTTP\/1.1 400 /],
    ["GET / HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    [`GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    [`GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1.1 431 /],
    ["POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", /^HTTP\/1.1 400 /],
    [
      `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;${"a".repeat(20_000)}\r\nx\r\n`,
      /^HTTP\/1.1 413 /,
    ],
  ];
  for (const [sent, expected] of cases) {
    const socket = await dial(address);
    socket.write(sent);
    expect(await readAll(socket), sent.slice(0, 60)).toMatch(expected);
  }
  expect(troubles).toEqual([]);
});

test("S10: hostile targets and header names reach the handler as harmless text", async () => {
  const address = await serve((request) => ({
    status: 200,
    body: `${request.path}|${request.header("__proto__") ?? "none"}|${request.header("constructor")}`,
  }));
  const pathOf = async (target: string) => {
    const socket = await dial(address);
    socket.end(`GET ${target} HTTP/1.1\r\nHost: x\r\n__proto__: evil\r\nConnection: close\r\n\r\n`);
    return (await readAll(socket)).split("\r\n\r\n")[1]?.split("|")[0];
  };
  expect(await pathOf("http://[")).toBe("/");
  expect(await pathOf("http://a/b/c?d")).toBe("/b/c");
  expect(await pathOf("//")).toBe("//");
  expect(await pathOf("/%zz")).toBe("/%zz");
  expect(await pathOf("*")).toBe("");
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  expect("evil" in {}).toBe(false);
});

test("a handler that throws costs one request: 500 without details, or the refusal's own status", async () => {
  const address = await serve((request) => {
    if (request.path === "/later") return Promise.reject(new Error("secret"));
    if (request.path === "/refused")
      throw new PipelineError({ kind: "refused", retryAfterMs: 2_500, why: "full" });
    throw new Error("secret");
  });
  for (const path of ["/now", "/later"]) {
    const answer = await fetch(`http://${address}${path}`);
    expect([answer.status, await answer.text()]).toEqual([500, "internal error\n"]);
  }
  expect(troubles.map((error) => error.message)).toEqual(["secret", "secret"]);
  const refused = await fetch(`http://${address}/refused`);
  expect([refused.status, await refused.text()]).toEqual([503, "full\n"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(3);
});

test("an answer that cannot be written costs one connection, not the process", async () => {
  const address = await serve(() => ({ status: 200, headers: { "X-A": "a\r\nb: c" } }));
  const socket = await dial(address);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(await readAll(socket)).toBe("");
  expect(troubles).toHaveLength(1);
});

test("answers are streamed at the client's pace, and end with the client", async () => {
  let made = 0;
  async function* endless() {
    for (;;) {
      made += 1;
      yield "x".repeat(65_536);
    }
  }
  const address = await serve((request) =>
    request.path === "/short"
      ? {
          status: 200,
          body: (async function* () {
            yield "a";
            yield Buffer.from("b");
          })(),
        }
      : { status: 200, body: endless() },
  );
  expect(await (await fetch(`http://${address}/short`)).text()).toBe("ab");
  const socket = await dial(address);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.pause();
  await until(() => made > 2);
  let before = -1;
  while (before !== made) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(made).toBeLessThan(400);
  socket.destroy();
  expect(troubles).toEqual([]);
});

test("connections above the limit are closed, the others go on", async () => {
  const address = await serve(() => ({ status: 200, body: "ok" }), { maxConnections: 2 });
  const kept = [await dial(address), await dial(address)];
  const extra = await dial(address);
  expect(await readAll(extra)).toBe("");
  for (const socket of kept) {
    socket.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await readAll(socket)).toContain("ok");
  }
});

test("stop: idle connections close, what is in flight is answered with Connection: close", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let isAsked = false;
  const address = await serve(async () => {
    isAsked = true;
    await gate;
    return { status: 200, body: "done" };
  });
  const idle = await dial(address);
  const busy = await dial(address);
  busy.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => isAsked);
  const stopped = servers[0]?.stop(AbortSignal.timeout(60_000));
  setTimeout(finish, 100);
  const answer = await readAll(busy);
  expect(answer).toContain("done");
  expect(answer.toLowerCase()).toContain("connection: close");
  idle.destroy();
  await stopped;
  await expect(fetch(`http://${address}/`)).rejects.toThrow();
});

test("stop: the deadline cuts what does not end", async () => {
  let isAsked = false;
  const address = await serve(() => {
    isAsked = true;
    return new Promise<HttpAnswer>(() => {});
  });
  const socket = await dial(address);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => isAsked);
  const stop = () => servers[0]?.stop(AbortSignal.timeout(200));
  expect(await ownMs(stop)).toBeLessThan(1_500);
});

test("stop without start and twice; a taken address is named", async () => {
  const idle = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "x",
    onRequest: () => ({ status: 200 }),
  });
  await idle.stop(AbortSignal.timeout(100));
  const address = await serve(() => ({ status: 200 }));
  const second = createHttpServer({
    endpoint: address,
    what: "receiver otlp",
    onRequest: () => ({ status: 200 }),
  });
  await expect(second.start()).rejects.toThrow(
    `receiver otlp cannot listen on ${address}: the address is in use`,
  );
  await second.stop(AbortSignal.timeout(100));
  await servers[0]?.stop(AbortSignal.timeout(1_000));
  await servers[0]?.stop(AbortSignal.timeout(1_000));
  expect(servers[0]?.address()).toBeUndefined();
});

test("pipelined requests that are answered at once are each answered", async () => {
  const socket = await dial(await serve(({ path }) => ({ status: 200, body: path })));
  const gets = ["/a", "/b", "/c"].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join("");
  socket.write(`${gets}GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const bodies = [...(await readAll(socket)).matchAll(/\r\n\r\n(\/\w)/g)].map(([, body]) => body);
  expect(bodies).toEqual(["/a", "/b", "/c", "/d"]);
});

test("pipelined and kept-alive requests are each answered", async () => {
  const address = await serve(count);
  const socket = await dial(address);
  const one = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n\x01";
  const last = one.replace("Host: x", "Host: x\r\nConnection: close");
  socket.write(one.repeat(500) + last);
  expect((await readAll(socket)).split("1 1 true")).toHaveLength(502);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 3; i++) {
    const call = request({ host: "127.0.0.1", port: address.split(":")[1], agent, method: "HEAD" });
    call.end();
    const [answer] = await once(call, "response");
    answer.resume();
    await once(answer, "end");
    expect([answer.statusCode, call.reusedSocket]).toEqual([200, i > 0]);
  }
  agent.destroy();
});

test("a client that ends its side behind its request reads the answer; one that ends it before is cut", async () => {
  const server = await serve(async (request) => {
    await request.readBody(100);
    await sleep(100);
    return { status: 200, body: "late" };
  });
  const whole = await dial(server);
  whole.end("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
  const answer = await readAll(whole);
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).toMatch(/late$/);
  const part = await dial(server);
  part.end("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
  expect(await readAll(part)).not.toMatch(/ 200 /);
});
