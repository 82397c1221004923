import { once } from "node:events";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
} from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import {
  QueryUpstream,
  UpstreamDown,
  type UpstreamTimes,
} from "../../../src/kit/doors/query-upstream.ts";
import { createHttpServer, type HttpAnswer } from "../../../src/kit/server/http-server.ts";
import { freePorts } from "../../support/service.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A database of the test's own. */
async function database(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that hands everything on to `url`; returns its own URL. */
async function proxy(url: string, times: UpstreamTimes = {}, body?: Uint8Array): Promise<string> {
  const upstream = new QueryUpstream(url, "receivers.x.query_upstream", times);
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "test",
    onRequest: async (request): Promise<HttpAnswer> => {
      try {
        return await upstream.forward(request, body);
      } catch (reason) {
        if (!(reason instanceof UpstreamDown)) throw reason;
        return { status: reason.status, body: reason.message };
      }
    },
  });
  await server.start();
  cleanups.push(async () => {
    upstream.stop();
    await server.stop(AbortSignal.timeout(1_000));
  });
  return `http://${server.address()}`;
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test("method, target, headers and body arrive; those of the connection do not", async () => {
  const seen: { line: string; headers: IncomingMessage["headers"]; body: string }[] = [];
  const url = await database(async (request, response) => {
    const body = await textOf(request);
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
    response.writeHead(207, {
      "x-own": "1",
      "set-cookie": ["a=1", "b=2"],
      connection: "x-gone, keep-alive",
      "x-gone": "1",
    });
    response.end("fine");
  });
  const asked = httpRequest(`${await proxy(url)}/api/v3/query_sql?q=select%201&a=%2F`, {
    method: "POST",
    headers: {
      authorization: "Bearer t",
      "x-forwarded-for": "10.0.0.1",
      connection: "x-hop",
      "x-hop": "1",
      te: "trailers",
      "content-type": "application/json",
    },
  });
  asked.end('{"q":"ж"}');
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  expect([answer.statusCode, await textOf(answer)]).toEqual([207, "fine"]);
  expect(answer.headers).toMatchObject({ "x-own": "1", "set-cookie": ["a=1", "b=2"] });
  expect(answer.headers).not.toHaveProperty("x-gone");
  const [{ line, headers, body } = { line: "", headers: {}, body: "" }] = seen;
  expect([line, body]).toEqual(["POST /api/v3/query_sql?q=select%201&a=%2F", '{"q":"ж"}']);
  expect(headers).toMatchObject({
    authorization: "Bearer t",
    "content-type": "application/json",
    "x-forwarded-for": "10.0.0.1, 127.0.0.1",
    host: new URL(url).host,
  });
  for (const name of ["x-hop", "te"]) expect(headers).not.toHaveProperty(name);
});

test("a body that was read already is sent as it was", async () => {
  const url = await database(async (request, response) => {
    response.end(`${request.headers["content-length"]} ${await textOf(request)}`);
  });
  const answer = await fetch(await proxy(url, {}, Buffer.from("q=SHOW")), {
    method: "POST",
    body: "q=SHOW",
  });
  expect(await answer.text()).toBe("6 q=SHOW");
});

test("trailers come behind the body, HEAD has none of both", async () => {
  const url = await database((request, response) => {
    response.writeHead(
      200,
      request.method === "HEAD" ? { "content-length": "4" } : { trailer: "x-end" },
    );
    response.write("body");
    response.addTrailers({ "x-end": "well" });
    response.end();
  });
  const through = await proxy(url);
  const asked = httpRequest(through);
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  expect(await textOf(answer)).toBe("body");
  expect(answer.trailers).toEqual({ "x-end": "well" });
  const head = await fetch(through, { method: "HEAD" });
  expect([head.headers.get("content-length"), await head.text()]).toEqual(["4", ""]);
});

test("a large answer waits for its reader, a large request for its database", async () => {
  const SIZE = 64 << 20;
  let written = 0;
  const url = await database(async (request, response) => {
    if (request.method === "POST") return void setTimeout(() => request.pipe(response), 200);
    const chunk = Buffer.alloc(1 << 20);
    for (let i = 0; i < SIZE; i += chunk.length) {
      if (!response.write(chunk)) await once(response, "drain");
      written = i + chunk.length;
    }
    response.end();
  });
  const through = await proxy(url);
  const socket = await dial(through);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(written).toBeLessThan(SIZE / 2);
  let read = 0;
  socket.on("data", (chunk: Buffer) => {
    read += chunk.length;
  });
  socket.resume();
  while (read < SIZE) await once(socket, "data");
  const echo = await fetch(through, { method: "POST", body: Buffer.alloc(8 << 20, "x") });
  expect((await echo.arrayBuffer()).byteLength).toBe(8 << 20);
});

async function dial(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  cleanups.push(() => socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

test("a database that is not there: 502, with its address and the option", async () => {
  const [port = 0] = await freePorts(1);
  const answer = await fetch(await proxy(`http://127.0.0.1:${port}`), {
    method: "POST",
    body: "x",
  });
  expect([answer.status, await answer.text()]).toEqual([
    502,
    expect.stringMatching(
      `^the database at 127.0.0.1:${port} \\(receivers.x.query_upstream\\) does not answer: .*ECONNREFUSED.*; is it running\\?$`,
    ),
  ]);
});

test("a database that never answers: 504", async () => {
  const url = await database(() => {});
  const answer = await fetch(await proxy(url, { silenceMs: 200 }));
  expect([answer.status, await answer.text()]).toEqual([
    504,
    expect.stringContaining("took too long to answer"),
  ]);
});

test("a database that hangs up without an answer: 502", async () => {
  const url = await database((request) => void request.socket.destroy());
  const answer = await fetch(await proxy(url), { method: "POST", body: "x" });
  expect(answer.status).toBe(502);
});

test("an answer that breaks off is no whole answer", async () => {
  const url = await database((_request, response) => {
    response.write("half");
    setTimeout(() => response.destroy(), 50);
  });
  const answer = await fetch(await proxy(url));
  await expect(answer.text()).rejects.toThrow();
});

test("a client that goes away takes its query with it", async () => {
  const gone = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const url = await database((request) => {
    asked.resolve();
    request.on("close", () => gone.resolve());
  });
  const through = await proxy(url);
  const streaming = await dial(through);
  streaming.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  await asked.promise;
  streaming.destroy();
  await gone.promise;
});

test("an answer before the end of the request is passed on", async () => {
  const url = await database((_request, response) => void response.writeHead(413).end("enough"));
  const through = await proxy(url);
  const socket = await dial(through);
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\nabc");
  const [head] = (await once(socket, "data")) as [Buffer];
  expect(head.toString()).toMatch(/^HTTP\/1.1 413 /);
});

test("a connection that idled away does not cost a query", async () => {
  const url = await database((_request, response) => void response.end("ok"));
  const through = await proxy(url);
  for (let i = 0; i < 20; i++) expect(await (await fetch(through)).text()).toBe("ok");
});

test("a proxy that leads back to itself ends", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const url = await database(async (request, response) => {
    const back = await fetch(`${await promise}/`, {
      headers: { "x-forwarded-for": String(request.headers["x-forwarded-for"]) },
    });
    response.writeHead(back.status).end(await back.text());
  });
  resolve(await proxy(url));
  const answer = await fetch(await promise);
  expect([answer.status, await answer.text()]).toEqual([
    502,
    expect.stringContaining("it leads back here"),
  ]);
});
