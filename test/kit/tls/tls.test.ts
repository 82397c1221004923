import { once } from "node:events";
import { copyFileSync, utimesSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { HttpClient } from "../../../src/kit/client/http-client.ts";
import { createGrpcServer } from "../../../src/kit/server/grpc-server.ts";
import { createHttpServer } from "../../../src/kit/server/http-server.ts";
import { tlsClient, tlsServer } from "../../../src/kit/tls/tls-block.ts";
import { ClientTls } from "../../../src/kit/tls/tls-client.ts";
import { ServerTls } from "../../../src/kit/tls/tls-server.ts";
import { temporaryDirectory } from "../../store/harness.ts";
import { pem, pemPath } from "../../support/certificates.ts";
import { ownMs } from "../../support/core-waits.ts";
import { recordingLog } from "../../support/export-rig.ts";
import { dial, readAll } from "../../support/otlp-door.ts";
import { until } from "../../support/until.ts";

const SERVER = { cert_file: pemPath("server"), key_file: pemPath("server.key") };
const serverBlock = z.strictObject({ tls: tlsServer });
const clientBlock = z.strictObject({ tls: tlsClient });
let log: ReturnType<typeof recordingLog>;
const cleanups: (() => Promise<void> | void)[] = [];
beforeEach(() => {
  log = recordingLog();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function serverTls(block: object): ServerTls {
  const { tls } = serverBlock.parse({ tls: block });
  if (tls === undefined) throw new Error("no block");
  return new ServerTls(tls, { id: "otlp", log });
}

async function serveHttp(block: object): Promise<{ port: number; address: string }> {
  const server = createHttpServer({
    endpoint: "127.0.0.1:0",
    what: "test server",
    tls: serverTls(block),
    onRequest: (request) => ({ status: 200, body: request.path }),
  });
  await server.start();
  cleanups.push(() => server.stop(AbortSignal.abort()));
  const address = server.address() ?? "";
  return { address, port: Number(address.split(":").at(-1)) };
}

/** Name on the certificate that a new connection shows, or why there is none. */
async function shakeHands(port: number, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", ca: pem("ca"), ...options });
  try {
    await once(socket, "secureConnect");
    return `${String(socket.getPeerCertificate().subject.CN)} ${socket.getProtocol()} ${socket.getCipher().name}`;
  } catch (error) {
    return String(error);
  } finally {
    socket.destroy();
  }
}

/** Status and body of one GET, or what went wrong. */
function get(port: number, options: object = {}): Promise<string> {
  return new Promise((resolve) => {
    const agent = new Agent({ keepAlive: false });
    const sent = request(
      { port, host: "127.0.0.1", path: "/x", ca: pem("ca"), agent, ...options },
      (answer) => {
        let body = "";
        answer.on("data", (part) => {
          body += part;
        });
        answer.on("end", () => resolve(`${answer.statusCode} ${body}`));
      },
    );
    sent.on("error", (error) => resolve(String(error)));
    sent.end();
  });
}

describe("servers", () => {
  test("HTTPS, from files and from texts", async () => {
    const { port } = await serveHttp(SERVER);
    expect(await get(port)).toBe("200 /x");
    expect(await get(port, { ca: pem("stranger") })).toContain("unable to verify");
    const texts = await serveHttp({ cert_pem: pem("server"), key_pem: pem("server.key") });
    expect(await get(texts.port)).toBe("200 /x");
  });

  test("mTLS: clients without a certificate that client_ca_file signed do not come in", async () => {
    const { port } = await serveHttp({ ...SERVER, client_ca_file: pemPath("ca") });
    expect(await get(port, { cert: pem("client"), key: pem("client.key") })).toBe("200 /x");
    expect(await get(port)).toMatch(/certificate required|ECONNRESET|EPIPE|socket hang up/);
    expect(await get(port, { cert: pem("stranger"), key: pem("stranger.key") })).toMatch(
      /unknown ca|ECONNRESET|EPIPE|socket hang up/,
    );
  });

  test("versions, suites and curves are what the block says", async () => {
    const old = await serveHttp({
      ...SERVER,
      max_version: 1.2,
      cipher_suites: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
      curve_preferences: ["P384"],
    });
    expect(await shakeHands(old.port)).toBe("server TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
    expect(await shakeHands(old.port, { minVersion: "TLSv1.3" })).toMatch(/protocol version/);
    expect(await shakeHands(old.port, { ecdhCurve: "prime256v1" })).toMatch(/handshake failure/);
    const recent = await serveHttp({ ...SERVER, min_version: "1.3" });
    expect(await shakeHands(recent.port)).toMatch(/^server TLSv1.3 /);
    expect(await shakeHands(recent.port, { maxVersion: "TLSv1.2" })).toMatch(/protocol version/);
  });

  test("plain HTTP, garbage and silence on the TLS port end only their own connection", async () => {
    const { address, port } = await serveHttp(SERVER);
    for (const bytes of [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\x16\x03\x01\x00\x05garbage",
      "\0",
    ]) {
      const socket = await dial(address);
      socket.end(bytes);
      await readAll(socket);
    }
    expect(await get(port)).toBe("200 /x");
  });

  test("stop: a client that never shakes hands is cut at the deadline", async () => {
    const server = createHttpServer({
      endpoint: "127.0.0.1:0",
      what: "test server",
      tls: serverTls(SERVER),
      onRequest: () => ({ status: 200 }),
    });
    await server.start();
    const mute = await dial(server.address() ?? "");
    expect(await ownMs(() => server.stop(AbortSignal.timeout(100)))).toBeLessThan(2_000);
    mute.destroy();
  });

  test("changed files hold for new connections; the old ones go on", async () => {
    const { path, remove } = temporaryDirectory();
    cleanups.push(remove);
    const files = { cert_file: join(path, "cert.pem"), key_file: join(path, "key.pem") };
    copyFileSync(pemPath("server"), files.cert_file);
    copyFileSync(pemPath("server.key"), files.key_file);
    const { port } = await serveHttp({ ...files, reload_interval: "20ms" });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    const sockets = new Set<TLSSocket>();
    const over = () =>
      new Promise<string>((resolve, reject) => {
        const sent = request({ port, host: "127.0.0.1", ca: pem("ca"), agent }, (answer) => {
          answer.resume().on("end", () => resolve(String(answer.statusCode)));
        });
        sent.on("socket", (socket) => sockets.add(socket as TLSSocket));
        sent.on("error", reject);
        sent.end();
      });
    expect(await over()).toBe("200");
    // First only the certificate: it does not belong to the key, so the old pair stays.
    copyFileSync(pemPath("server2"), files.cert_file);
    await until(() => log.lines.some(({ level }) => level === "warn"));
    expect(JSON.stringify(log.lines)).toContain("private key does not belong to the certificate");
    expect(await shakeHands(port)).toMatch(/^server TLS/);
    copyFileSync(pemPath("server2.key"), files.key_file);
    await until(() => log.lines.some(({ level }) => level === "info"));
    expect(await shakeHands(port)).toMatch(/^server2 TLS/);
    expect(await over()).toBe("200");
    expect(sockets.size).toBe(1);
    // Touched, but the same: nothing breaks.
    utimesSync(files.cert_file, 1, 1);
    await until(() => log.lines.filter(({ level }) => level === "info").length === 2);
    expect(await get(port)).toBe("200 /x");
  });

  test("gRPC: h2 by ALPN; clients that want something else, or speak plain text, get nothing", async () => {
    const server = createGrpcServer({
      endpoint: "127.0.0.1:0",
      what: "test server",
      methods: new Map(),
      maxRecvMsgSizeBytes: 1_000,
      tls: serverTls(SERVER),
    });
    await server.start();
    cleanups.push(() => server.stop(AbortSignal.abort()));
    const address = server.address() ?? "";
    const port = Number(address.split(":").at(-1));
    const ask = async () => {
      const session = connectHttp2(`https://${address}`, { ca: pem("ca") });
      session.on("error", () => {});
      const stream = session.request({
        ":method": "POST",
        ":path": "/a.B/C",
        "content-type": "application/grpc",
      });
      const [headers] = (await once(stream, "response")) as [Record<string, string>];
      const { alpnProtocol } = session;
      session.destroy();
      return [headers["grpc-status"], alpnProtocol];
    };
    expect(await ask()).toEqual(["12", "h2"]);
    expect(await shakeHands(port, { ALPNProtocols: ["http/1.1"] })).toMatch(
      /no application protocol|TLSv1/,
    );
    const plain = await dial(address);
    plain.end("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await readAll(plain);
    expect(await ask()).toEqual(["12", "h2"]);
  });
});

describe("clients", () => {
  const never = new AbortController().signal;
  async function post(origin: string, block: object): Promise<string> {
    const { tls } = clientBlock.parse({ tls: block });
    const client = new HttpClient({
      origin,
      connections: 1,
      tls: tls && new ClientTls(tls, { id: "otlp_http", log }),
    });
    try {
      const answer = await client.post("/p", [], new Uint8Array(1), never);
      return "error" in answer ? answer.error : `${answer.status} ${answer.body}`;
    } finally {
      await client.close();
    }
  }

  test("ca_file, insecure_skip_verify and server_name_override", async () => {
    const { port } = await serveHttp(SERVER);
    const origin = `https://127.0.0.1:${port}`;
    expect(await post(origin, {})).toMatch(/unable to verify|self-signed|local issuer/);
    expect(await post(origin, { include_system_ca_certs_pool: true })).toMatch(/unable to verify/);
    expect(await post(origin, { insecure_skip_verify: true })).toBe("200 /p");
    expect(await post(origin, { ca_file: pemPath("ca") })).toBe("200 /p");
    expect(await post(origin, { ca_pem: pem("ca"), include_system_ca_certs_pool: true })).toBe(
      "200 /p",
    );
    expect(await post(`https://localhost:${port}`, { ca_file: pemPath("ca") })).toBe("200 /p");
    const named = (server_name_override: string) =>
      post(origin, { ca_file: pemPath("ca"), server_name_override });
    expect(await named("server.example")).toBe("200 /p");
    expect(await named("other.example")).toMatch(/does not match certificate/);
  });

  test("a client certificate opens an mTLS server; a changed one holds for new connections", async () => {
    const { port } = await serveHttp({ ...SERVER, client_ca_file: pemPath("ca") });
    const origin = `https://127.0.0.1:${port}`;
    const ca_file = pemPath("ca");
    const own = { ca_file, cert_file: pemPath("client"), key_file: pemPath("client.key") };
    expect(await post(origin, own)).toBe("200 /p");
    expect(await post(origin, { ca_file })).not.toContain("200");
    const { path, remove } = temporaryDirectory();
    cleanups.push(remove);
    const cert_file = join(path, "cert.pem");
    const key_file = join(path, "key.pem");
    copyFileSync(pemPath("stranger"), cert_file);
    copyFileSync(pemPath("stranger.key"), key_file);
    const { tls } = clientBlock.parse({
      tls: { ca_file, cert_file, key_file, reload_interval: "20ms" },
    });
    if (tls === undefined) throw new Error("no block");
    const client = new HttpClient({
      origin,
      connections: 1,
      tls: new ClientTls(tls, { id: "x", log }),
    });
    cleanups.push(() => client.close());
    expect(await client.post("/p", [], new Uint8Array(1), never)).toHaveProperty("error");
    copyFileSync(pemPath("client"), cert_file);
    copyFileSync(pemPath("client.key"), key_file);
    await until(() => log.lines.some(({ level }) => level === "info"));
    expect(await client.post("/p", [], new Uint8Array(1), never)).toMatchObject({ status: 200 });
  });
});

describe("what is wrong with a block is said at its option", () => {
  const { path, remove } = temporaryDirectory();
  const empty = join(path, "empty.pem");
  writeFileSync(empty, "");
  const gone = join(path, "gone.pem");
  const server: readonly (readonly [object, string, RegExp])[] = [
    [{}, "tls", /set cert_file and key_file/],
    [{ cert_file: SERVER.cert_file }, "tls.cert_file", /belong together/],
    [{ key_file: SERVER.key_file }, "tls.key_file", /belong together/],
    [{ ...SERVER, cert_file: gone }, "tls.cert_file", /gone\.pem": there is no such file/],
    [
      { ...SERVER, cert_file: "./gone.pem" },
      "tls.cert_file",
      /"\.\/gone\.pem" in \/.*, where the service was started: there is no such file/,
    ],
    [{ ...SERVER, key_file: path }, "tls.key_file", /is a directory/],
    [{ ...SERVER, cert_file: empty }, "tls.cert_file", /holds no certificate/],
    [{ ...SERVER, key_file: empty }, "tls.key_file", /holds no private key/],
    [{ ...SERVER, key_file: pemPath("client.key") }, "tls.key_file", /does not belong to the cert/],
    [{ ...SERVER, client_ca_file: gone }, "tls.client_ca_file", /no such file/],
    [{ ...SERVER, cert_pem: pem("server") }, "tls.cert_pem", /set one/],
    [{ ...SERVER, min_version: "1.3", max_version: "1.2" }, "tls.max_version", /nothing would be/],
    [{ ...SERVER, min_version: "1.1" }, "tls.min_version", /RFC 8996/],
    [{ ...SERVER, cipher_suites: ["RC4"] }, "tls.cipher_suites.0", /Invalid option/],
    [{ ...SERVER, no_such: 1 }, "tls", /no_such/],
  ];
  test.each(server)("server %#: %s", (block, where, why) => {
    const { error } = serverBlock.safeParse({ tls: block });
    expect(error?.issues[0]?.path.join(".")).toBe(where);
    expect(error?.issues[0]?.message).toMatch(why);
  });
  test.each([
    [{ ca_file: gone }, "tls.ca_file", /no such file/],
    [{ ca_file: empty }, "tls.ca_file", /holds no certificate/],
    [{ cert_file: pemPath("client") }, "tls.cert_file", /belong together/],
    [{ ca_file: pemPath("ca"), ca_pem: pem("ca") }, "tls.ca_pem", /set one/],
  ] as const)("client %#: %s", (block, where, why) => {
    const { error } = clientBlock.safeParse({ tls: block });
    expect(error?.issues[0]?.path.join(".")).toBe(where);
    expect(error?.issues[0]?.message).toMatch(why);
  });
  test("keys as text never print", () => {
    const { tls } = serverBlock.parse({
      tls: { cert_pem: pem("server"), key_pem: pem("server.key") },
    });
    expect(JSON.stringify(tls)).not.toContain("PRIVATE");
    remove();
  });
});
