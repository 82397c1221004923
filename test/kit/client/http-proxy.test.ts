import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { HttpClient } from "../../../src/kit/client/http-client.ts";
import { tlsClient } from "../../../src/kit/tls/tls-block.ts";
import { ClientTls } from "../../../src/kit/tls/tls-client.ts";
import { pem, pemPath } from "../../support/certificates.ts";
import { recordingLog } from "../../support/export-rig.ts";
import { rawDestination } from "../../support/fault-destinations.ts";
import { httpSink } from "../../support/http-sink.ts";

/** A proxy that works: forwards whole addresses, and makes tunnels. */
async function workingProxy(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const address = await rawDestination((client) => {
    client.once("data", (head: Buffer) => {
      const text = head.toString("latin1");
      const [line = ""] = text.split("\r\n");
      asked.push(`${line} ${/proxy-authorization: (\S+ \S+)/i.exec(text)?.[1] ?? ""}`);
      const target = line.startsWith("CONNECT")
        ? /CONNECT \S+:(\d+)/.exec(line)
        : /POST http:\/\/[^/]+:(\d+)/.exec(line);
      const server = connect(Number(target?.[1]), "127.0.0.1");
      server.on("error", () => client.destroy());
      client.on("close", () => server.destroy());
      if (line.startsWith("CONNECT")) client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      else server.write(head);
      client.pipe(server).pipe(client);
    });
  });
  return { url: address, asked };
}

const body = new TextEncoder().encode("x");
const never = new AbortController().signal;

test("plain requests are forwarded by the proxy, with its credentials", async () => {
  const sink = await httpSink({ status: 200 });
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const { url, asked } = await workingProxy();
  const proxy = `http://me:p%40ss@${url}`;
  const client = new HttpClient({ origin: sink.url, connections: 1, proxy });
  onTestFinished(() => client.close());
  for (let i = 0; i < 2; i++)
    expect(await client.post("/v1/logs", [], body, never)).toMatchObject({ status: 200 });
  expect(sink.requests.map(({ body: got }) => got.toString())).toEqual(["x", "x"]);
  const basic = `Basic ${Buffer.from("me:p@ss").toString("base64")}`;
  expect(asked).toEqual([`POST ${sink.url}/v1/logs HTTP/1.1 ${basic}`]);
});

test("TLS goes through a tunnel, end to end", async () => {
  const got: string[] = [];
  const identity = { key: pem("server.key"), cert: pem("server") };
  const server = createHttpsServer(identity, (request, response) => {
    request.on("data", (chunk: Buffer) => got.push(chunk.toString()));
    request.on("end", () => response.end());
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const { url, asked } = await workingProxy();
  const block = tlsClient.parse({ ca_file: pemPath("ca") });
  if (block === undefined) throw new Error("no block");
  const client = new HttpClient({
    origin: `https://localhost:${port}`,
    connections: 1,
    tls: new ClientTls(block, { id: "x", log: recordingLog() }),
    proxy: `http://me:p%40ss@${url}`,
  });
  onTestFinished(() => client.close());
  for (let i = 0; i < 2; i++)
    expect(await client.post("/", [], body, never)).toMatchObject({ status: 200 });
  expect(got).toEqual(["x", "x"]);
  const basic = `Basic ${Buffer.from("me:p@ss").toString("base64")}`;
  expect(asked).toEqual([`CONNECT localhost:${port} HTTP/1.1 ${basic}`]);
});
