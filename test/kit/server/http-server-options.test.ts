import { afterEach, expect, test } from "vitest";
import { z } from "zod";
import {
  createHttpServer,
  type HttpAnswer,
  type HttpServer,
  type HttpServerOptions,
} from "../../../src/kit/server/http-server.ts";
import { httpServerOptions, httpServerShape } from "../../../src/kit/server/http-server-block.ts";
import { dial, readAll } from "../../support/otlp-door.ts";

/** What the Collector's confighttp options do: CORS, headers, limits in time, authentication. */

const block = z.strictObject(httpServerShape);
const servers: HttpServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(AbortSignal.abort());
});

async function serve(options: object, more: Partial<HttpServerOptions> = {}): Promise<string> {
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "test server",
    onRequest: ({ path }) =>
      path === "/bad" ? { status: 400, body: "bad" } : { status: 200, body: "fine" },
    ...httpServerOptions(block.parse(options)),
    ...more,
  });
  servers.push(server);
  await server.start();
  return server.address() ?? "";
}

async function send(
  address: string,
  method: string,
  path: string,
  headers: Record<string, string>,
) {
  const socket = await dial(address);
  const lines = Object.entries({ Host: "x", Connection: "close", ...headers });
  socket.write(
    `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  const [head = "", body = ""] = (await readAll(socket)).split("\r\n\r\n");
  const [status = "", ...rest] = head.split("\r\n");
  const found = rest.map((line) => line.split(": ") as [string, string]);
  return {
    status: Number(status.split(" ")[1]),
    headers: new Map(found.map(([name, value]) => [name.toLowerCase(), value])),
    body,
  };
}

const CORS = {
  cors: {
    allowed_origins: ["https://app.example", "https://*.test.example", "http://localhost:*"],
    allowed_headers: ["X-Trace"],
    exposed_headers: ["X-Seen"],
    max_age: 7200,
  },
};
const preflight = (origin: string, method = "POST", headers = "content-type") => ({
  Origin: origin,
  "Access-Control-Request-Method": method,
  "Access-Control-Request-Headers": headers,
});

test("CORS: preflights of allowed origins are answered, with what was asked for", async () => {
  const address = await serve(CORS);
  for (const origin of [
    "https://app.example",
    "https://a.b.test.example",
    "HTTPS://APP.EXAMPLE",
    "http://localhost:3000",
  ]) {
    const { status, headers, body } = await send(
      address,
      "OPTIONS",
      "/v1/logs",
      preflight(origin, "POST", "Content-Type, x-trace"),
    );
    expect([status, body]).toEqual([204, ""]);
    expect(Object.fromEntries(headers)).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "content-type, x-trace",
      "access-control-allow-credentials": "true",
      "access-control-max-age": "7200",
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
  }
});

test("CORS: other origins, methods and headers get no permission", async () => {
  const address = await serve(CORS);
  for (const asked of [
    preflight("https://evil.example"),
    preflight("https://app.example.evil.example"),
    preflight("https://.test.example/x"),
    preflight("null"),
    preflight("https://app.example", "DELETE"),
    preflight("https://app.example", "POST", "x-other"),
  ]) {
    const { status, headers } = await send(address, "OPTIONS", "/v1/logs", asked);
    expect([status, headers.get("access-control-allow-origin")]).toEqual([204, undefined]);
    expect(headers.get("vary")).toContain("Origin");
  }
});

test("CORS: answers, errors too, may be read by allowed origins only", async () => {
  const address = await serve(CORS);
  for (const path of ["/v1/logs", "/bad"]) {
    const { headers } = await send(address, "POST", path, { Origin: "https://app.example" });
    expect(Object.fromEntries(headers)).toMatchObject({
      "access-control-allow-origin": "https://app.example",
      "access-control-expose-headers": "X-Seen",
      vary: "Origin",
    });
    const evil = await send(address, "POST", path, { Origin: "https://evil.example" });
    expect(evil.headers.get("access-control-allow-origin")).toBeUndefined();
  }
  const plain = await send(address, "OPTIONS", "/v1/logs", { Origin: "https://app.example" });
  expect([plain.status, plain.body]).toEqual([200, "fine"]);
});

test('CORS: "*" lets every origin and every header in; without origins there is no CORS', async () => {
  const open = await serve({ cors: { allowed_origins: ["*"], allowed_headers: ["*"] } });
  const { headers } = await send(open, "OPTIONS", "/", preflight("https://x.y", "POST", "x-any"));
  expect(headers.get("access-control-allow-origin")).toBe("https://x.y");
  expect(headers.has("access-control-max-age")).toBe(false);
  const none = await serve({ cors: {} });
  const answer = await send(none, "OPTIONS", "/", preflight("https://x.y"));
  expect([answer.status, answer.headers.has("vary")]).toEqual([200, false]);
  expect(
    block.safeParse({ cors: { allowed_origins: ["https://*.*"] } }).error?.issues,
  ).toHaveLength(1);
});

test("response_headers are on every answer; those that the server writes itself are refused", async () => {
  const address = await serve({ response_headers: { "Strict-Transport-Security": "max-age=1" } });
  for (const path of ["/", "/bad"])
    expect((await send(address, "GET", path, {})).headers.get("strict-transport-security")).toBe(
      "max-age=1",
    );
  for (const name of ["Content-Length", "Content-Type", "Connection", "a b", "Vary"])
    expect(block.safeParse({ response_headers: { [name]: "x" } }).success, name).toBe(false);
  expect(block.safeParse({ response_headers: { a: "x\r\ny: z" } }).success).toBe(false);
});

test("keep_alives_enabled: false ends the connection with each answer", async () => {
  const socket = await dial(await serve({ keep_alives_enabled: false }));
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(await readAll(socket)).toMatch(/Connection: close/i);
  const kept = await dial(await serve({}));
  kept.write(
    "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  expect((await readAll(kept)).split("HTTP/1.1 200")).toHaveLength(3);
});

test("write_timeout cuts a connection whose answer does not come; 0s of the others means no limit", async () => {
  const never = { onRequest: () => new Promise<never>(() => {}) };
  const socket = await dial(await serve({ write_timeout: "50ms" }, never));
  const begun = performance.now();
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(await readAll(socket)).toBe("");
  expect(performance.now() - begun).toBeGreaterThan(40);
  const endless = await serve({
    read_timeout: "0s",
    read_header_timeout: "0s",
    idle_timeout: "0s",
  });
  expect((await send(endless, "GET", "/", {})).status).toBe(200);
});

test("authentication comes before everything but preflights, and before the body is asked for", async () => {
  let asked = 0;
  const address = await serve(CORS, {
    auth: {
      check: async (header) =>
        header("authorization") === "let me in"
          ? undefined
          : { why: "who are you?", challenge: 'Test realm="x"' },
    },
    onRequest: () => {
      asked += 1;
      return { status: 200, body: "fine" };
    },
  });
  const denied = await send(address, "POST", "/", {
    Expect: "100-continue",
    "Content-Length": "1000000",
    Origin: "https://app.example",
  });
  expect([denied.status, denied.body, asked]).toEqual([401, "who are you?\n", 0]);
  expect(denied.headers.get("www-authenticate")).toBe('Test realm="x"');
  expect(denied.headers.get("access-control-allow-origin")).toBe("https://app.example");
  expect((await send(address, "OPTIONS", "/", preflight("https://app.example"))).status).toBe(204);
  expect((await send(address, "POST", "/", { Authorization: "let me in" })).status).toBe(200);
});

test("an authenticator that fails lets nobody in", async () => {
  const address = await serve({}, { auth: { check: () => Promise.reject(new Error("secret")) } });
  const { status, body } = await send(address, "POST", "/", {});
  expect([status, body]).toEqual([500, "internal error\n"]);
});

test.each([
  [{ read_timeout: "300ms" }, "HTTP/1.1 408"],
  [{ read_timeout: "0s", read_header_timeout: "300ms" }, "HTTP/1.1 408"],
])("%j: a head that does not come is answered", async (options, status) => {
  const socket = await dial(await serve(options));
  socket.write("GET / HTTP/1.1\r\nX-");
  expect((await readAll(socket)).slice(0, status.length)).toBe(status);
});

test("longer heads where the receiver asks for them", async () => {
  const filler = (bytes: number) => ({ "X-Ids": "x".repeat(bytes) });
  expect((await send(await serve({}), "GET", "/", filler(17_000))).status).toBe(431);
  const address = await serve({}, { maxHeaderBytes: 1 << 20 });
  expect((await send(address, "GET", "/", filler(1_000_000))).status).toBe(200);
});

test("answers that are one object each have their own heads, in any order; what ends one connection does not end the next", async () => {
  const answers: Record<string, HttpAnswer> = {
    "/text": { status: 200, contentType: "text/plain", body: "fine" },
    "/empty": { status: 204, headers: { "X-Own": "1" } },
    "/large": { status: 200, body: "x".repeat(5_000) },
  };
  const order = ["/text", "/text", "/empty", "/large", "/large", "/empty", "/text"];
  const address = await serve(
    { response_headers: { "X-All": "2" } },
    { onRequest: ({ path }) => answers[path] ?? { status: 404 } },
  );
  for (let round = 0; round < 2; round++) {
    const socket = await dial(address);
    // The last one leaves more of its body unread than is thrown away in passing.
    const heads = order.map((path) => `POST ${path} HTTP/1.1\r\nHost: x\r\n`);
    socket.write(`${heads.join("Content-Length: 0\r\n\r\n")}Content-Length: ${1 << 20}\r\n\r\nx`);
    const seen = (await readAll(socket)).split("HTTP/1.1 ").slice(1);
    expect(seen).toHaveLength(order.length);
    seen.forEach((answer, i) => {
      const [head = "", body = ""] = answer.split("\r\n\r\n");
      const { status, contentType, body: sent = "" } = answers[order[i] ?? ""] as HttpAnswer;
      expect(Number(head.slice(0, 3))).toBe(status);
      expect(body).toBe(sent);
      expect(/content-type: (\S+)/i.exec(head)?.[1]).toBe(contentType);
      expect(/content-length: (\S+)/i.exec(head)?.[1]).toBe(
        status === 204 ? undefined : String(String(sent).length),
      );
      expect([/x-own: 1/i.test(head), /x-all: 2/i.test(head)]).toEqual([status === 204, true]);
      expect(/^connection: close$/im.test(head)).toBe(i === order.length - 1);
    });
  }
});
