import { hash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { TUNNELS_MAX } from "../../../src/kit/doors/query-upstream.ts";
import { loki } from "../../../src/receivers/loki/index.ts";
import { stopAll } from "../../support/http-receiver.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { post, start } from "./rig.ts";

const PATH = "/loki/api/v1/tail?query=%7Bapp%3D%22shop%22%7D";
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await stopAll();
});

/** A short unmasked text frame (RFC 6455 §5.2). */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Uint8Array.of(0x81, payload.length), payload]);
}

/** The text of a short masked frame, as clients send it. */
function unmasked(bytes: Buffer): string {
  const mask = bytes.subarray(2, 6);
  return bytes
    .subarray(6, 6 + ((bytes[1] ?? 0) & 127))
    .map((byte, i) => byte ^ (mask[i % 4] ?? 0))
    .toString();
}

/** A Loki that tails: says one line to whoever comes, and answers what it is told. Refuses who asks for nothing. */
async function database() {
  const heads: IncomingHttpHeaders[] = [];
  const sockets: Socket[] = [];
  const server = createServer((_request, response) => {
    response.statusCode = 400;
    response.end("Bad Request\n");
  });
  server.on("upgrade", (request, socket: Socket) => {
    heads.push({ ...request.headers, url: request.url ?? "" });
    if (!request.url?.includes("query=")) {
      socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 14\r\n\r\nparse error : \n");
      return;
    }
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${hash("sha1", key, "base64")}\r\n\r\n`,
    );
    socket.write(frame('{"streams":["first"]}'));
    socket.on("data", (bytes) => {
      if (bytes[0] === 0x81) socket.write(frame(`heard ${unmasked(bytes)}`));
      if (bytes[0] === 0x88) socket.end(Uint8Array.of(0x88, 0));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { heads, sockets, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Sends the head of a tail request; resolves with what comes until `until` is in it. */
function ask(address: string, lines: readonly string[], until: string, path = PATH) {
  const [host = "", port] = address.split(":");
  const socket = connect(Number(port), host);
  ends.push(() => socket.destroy());
  socket.on("error", () => {});
  const head = [`GET ${path} HTTP/1.1`, "Host: loki", ...lines, "", ""];
  socket.write(head.join("\r\n"));
  let text = "";
  return new Promise<{ socket: Socket; text: string }>((resolve) => {
    socket.on("data", (chunk) => {
      text += String(chunk);
      if (text.includes(until)) resolve({ socket, text });
    });
    socket.on("close", () => resolve({ socket, text }));
  });
}

const SWITCH = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const told = (socket: WebSocket) => once(socket, "message").then(([{ data }]) => String(data));

describe("live tailing", () => {
  test("goes on as WebSocket, both ways, with the tenant; either side may leave", async () => {
    const { url, heads, sockets } = await database();
    const { address, rig } = await start({ query_upstream: url });
    const client = new WebSocket(`ws://${address}${PATH}`);
    expect(await told(client)).toBe('{"streams":["first"]}');
    client.send("hello");
    expect(await told(client)).toBe("heard hello");
    client.close();
    await once(client, "close");
    await expect.poll(() => sockets[0]?.destroyed).toBe(true);
    const second = new WebSocket(`ws://${address}${PATH}`);
    await told(second);
    sockets[1]?.destroy();
    await once(second, "close");
    await ask(address, [...SWITCH, "X-Scope-OrgID: team"], "first");
    expect(heads).toHaveLength(3);
    expect(heads[2]).toMatchObject({
      url: PATH,
      "x-scope-orgid": "team",
      "x-forwarded-for": "127.0.0.1",
      host: url.slice("http://".length),
    });
    expect(rig.said).toEqual([]);
  });

  test("what does not switch is answered as Loki answers it, and the connection ends", async () => {
    const { url } = await database();
    const { address } = await start({ query_upstream: url });
    const refused = await ask(address, SWITCH, "parse error", "/api/prom/tail");
    expect(refused.text).toContain("HTTP/1.1 400 Bad Request");
    await expect.poll(() => refused.socket.destroyed).toBe(true);
    expect((await fetch(`http://${address}${PATH}`)).status).toBe(400);
    const other = await ask(address, SWITCH, "Bad Request", "/loki/api/v1/query?query=1");
    expect(other.text).toContain("HTTP/1.1 400 Bad Request");
    // Java's client asks for HTTP/2 with each push.
    const headers = { "content-type": "application/json", connection: "Upgrade", upgrade: "h2c" };
    const body = '{"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","x"]]}]}';
    const [host, port] = address.split(":");
    const socket = connect(Number(port), host);
    ends.push(() => socket.destroy());
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(
      [
        "POST /loki/api/v1/push HTTP/1.1",
        "Host: a",
        ...lines,
        `Content-Length: ${body.length}`,
        "",
        body,
      ].join("\r\n"),
    );
    const [answer] = await once(socket, "data");
    expect(String(answer)).toContain("HTTP/1.1 400");
    expect(String(answer)).toContain("timestamp too old");
  });

  test("a Loki that is not there is said; who has no credentials gets no further", async () => {
    const gone = await start({ query_upstream: "http://127.0.0.1:1" });
    const { text } = await ask(gone.address, SWITCH, "running?");
    expect(text).toContain("HTTP/1.1 502");
    expect(text).toContain("receivers.loki.query_upstream");
    const { url, heads } = await database();
    const rig = new ReceiverRig("loki");
    rig.authenticator = {
      start: async () => {},
      stop: async () => {},
      server: {
        check: async (header) =>
          header("authorization") === "Bearer good"
            ? undefined
            : { why: "no token", challenge: "Bearer" },
      },
    };
    const options = { query_upstream: url, auth: { authenticator: "bearer_token_auth" } };
    const { address } = await start(options, rig);
    expect((await ask(address, SWITCH, "no token")).text).toContain("HTTP/1.1 401");
    expect(heads).toEqual([]);
    await ask(address, [...SWITCH, "Authorization: Bearer good"], "first");
    expect(heads).toHaveLength(1);
  });

  test("there are only so many, and a stop ends them", async () => {
    const { url, sockets } = await database();
    const { context, intake } = new ReceiverRig("loki");
    const config = loki.schema.parse({ endpoint: "127.0.0.1:0", query_upstream: url });
    const receiver = loki.create(config, context, intake);
    await receiver.start();
    const address = receiver.address() ?? "";
    await Promise.all(Array.from({ length: TUNNELS_MAX }, () => ask(address, SWITCH, "first")));
    const { text } = await ask(address, SWITCH, "close one");
    expect(text).toContain("HTTP/1.1 503");
    sockets[0]?.destroy();
    await expect
      .poll(async () => (await ask(address, SWITCH, "\r\n\r\n")).text)
      .toContain("HTTP/1.1 101");
    expect((await post(`http://${address}/loki/api/v1/push`, "{}")).status).toBe(422);
    // Without a deadline: nothing is waited for.
    await receiver.stop(new AbortController().signal);
    await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
  });
});
