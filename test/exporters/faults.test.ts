import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { pem, pemPath } from "../support/certificates.ts";
import {
  allDelivered,
  closedPort,
  deliverAfterwards,
  HUNDRED_YEARS,
  httpDestination,
  type Kind,
  NAMES,
  nothingLost,
  type Options,
  plainOptions,
  rawDestination,
  timeoutFor,
  whileBroken,
} from "../support/fault-destinations.ts";
import type { SinkAnswer } from "../support/http-sink.ts";
import { until } from "../support/until.ts";

/**
 * What can go wrong between an exporter and its destination, over real sockets. While it lasts, everything stays queued and the law
 * holds; afterwards every item is at the destination, and counted as delivered once.
 */
const HTTP_KINDS = ["influxdb", "otlp_http", "loki"] as const;
const raw = (text: string, then: (socket: Socket) => void = (socket) => socket.destroy()) => ({
  raw: (socket: Socket) => socket.write(text, () => then(socket)),
});
const trickle = (socket: Socket) => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n";
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++] ?? "x"), 1_000);
  socket.on("close", () => clearInterval(timer));
};
const flood = (socket: Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(`10000\r\n${"x".repeat(65_536)}\r\n`));
  };
  socket.on("drain", more);
  more();
};
const CHUNKED = "\r\nTransfer-Encoding: chunked\r\n\r\n";
const LARGE_HEAD = `HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(40_000)}\r\nContent-Length: 0\r\n\r\n`;

/** Faults after which the same exporter goes on with the same destination. */
const HTTP_FAULTS: readonly (readonly [name: string, fault: SinkAnswer, why: RegExp])[] = [
  ["reset after the body", { does: "reset" }, /ECONNRESET|other side closed|socket/],
  ["no answer at all", { does: "hang" }, /no answer within 150 ms/],
  [
    "half a response",
    raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"),
    /other side closed|content-length|terminated|ended/i,
  ],
  ["half a head", raw("HTTP/1.1 200 O"), /other side closed|socket|ended/i],
  ["1 byte per second", { raw: trickle }, /no answer within 150 ms/],
  [
    "an endless body, slowly",
    raw(`HTTP/1.1 503 Busy${CHUNKED}1\r\nx\r\n`, () => {}),
    /no answer within 150 ms/,
  ],
  ["an endless body, fast", raw(`HTTP/1.1 503 Busy${CHUNKED}`, flood), /HTTP 503/],
  ["a head over its limit", raw(LARGE_HEAD, () => {}), /header/i],
  ["not HTTP", raw("220 smtp ready\r\n"), /Parse|Expected HTTP/i],
  [
    "a web page",
    { status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: "<html>" },
    /web page/,
  ],
  [
    "a web page in capitals",
    { status: 200, headers: { "content-type": "Text/HTML" }, body: "<html>" },
    /web page/,
  ],
  [
    "a redirect to itself",
    { status: 307, headers: { location: "/v1/logs" } },
    /HTTP 307.*redirects are not followed/,
  ],
  ["401", { status: 401 }, /HTTP 401/],
  ["503", { status: 503 }, /HTTP 503/],
];

test.each(
  HTTP_FAULTS.flatMap(([name, fault, why]) =>
    HTTP_KINDS.map((kind) => [kind, name, fault, why] as const),
  ),
)("%s: %s", async (kind, _name, fault, why) => {
  const destination = await httpDestination(kind, fault, false);
  const options = plainOptions(kind, destination.url);
  const { route, complaints } = await whileBroken(kind, options, timeoutFor(why));
  await until(() => destination.seen() > 2 && complaints().length > 0);
  expect(route.counts()).toEqual(nothingLost);
  expect(String(complaints()[0]?.fields["why"])).toMatch(why);
  destination.heal();
  await until(() => route.counts().queued === 0);
  expect(route.counts()).toEqual(allDelivered);
  expect(new Set(destination.stored)).toEqual(new Set(NAMES));
});

/** Strange, but the answer says that the items were taken: they are not sent again. */
test.each([
  ["HTTP/1.0", raw("HTTP/1.0 200 OK\r\n\r\n")],
  ["an answer without a length", raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")],
  ["an endless body behind a success", raw(`HTTP/1.1 200 OK${CHUNKED}`, flood)],
  [
    "an unknown content type",
    { status: 200, headers: { "content-type": "text/plain" }, body: "ok" },
  ],
  [
    "no content, which a proxy calls a web page",
    { status: 204, headers: { "content-type": "text/html" } },
  ],
] as const)("taken all the same: %s", async (_name, fault) => {
  for (const kind of HTTP_KINDS) {
    const destination = await httpDestination(kind, fault, true);
    const { route } = await whileBroken(kind, plainOptions(kind, destination.url));
    await until(() => route.counts().queued === 0);
    expect(route.counts()).toEqual(allDelivered);
    expect(destination.stored.toSorted()).toEqual(NAMES.toSorted());
  }
});

const scheme = (kind: Kind, address: string, name: "http" | "https"): string =>
  kind === "otlp_grpc" && name === "https" ? address : `${name}://${address}`;
const secure = (kind: Kind, address: string, tls: object): Options => ({
  endpoint: scheme(kind, address, "https"),
  tls,
});
const pair = (name: string) => ({
  key: pem(`${name}.key`),
  cert: pem(name),
  ALPNProtocols: ["h2", "http/1.1"],
});
const all = ["influxdb", "otlp_http", "otlp_grpc"] as const;
const overHttp = ["otlp_http"] as const;

/** Faults that end when the configuration is corrected or the destination moves: another exporter goes on with the same queue. */
const STARTING_FAULTS: readonly (readonly [
  name: string,
  kinds: readonly Kind[],
  options: (kind: Kind) => Promise<Options> | Options,
  why: RegExp,
])[] = [
  [
    "refused",
    all,
    async (kind) => plainOptions(kind, scheme(kind, await closedPort(), "http")),
    /ECONNREFUSED/,
  ],
  [
    "reset before the body",
    all,
    async (kind) =>
      plainOptions(
        kind,
        scheme(
          kind,
          await rawDestination((socket) => socket.once("data", () => socket.resetAndDestroy())),
          "http",
        ),
      ),
    /ECONNRESET|closed|socket/i,
  ],
  [
    "DNS failure",
    all,
    (kind) => plainOptions(kind, scheme(kind, "no-such-host.invalid:4317", "http")),
    /ENOTFOUND|EAI_AGAIN/,
  ],
  [
    "TLS to a server without it",
    all,
    async (kind) =>
      secure(
        kind,
        await rawDestination((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
        {},
      ),
    /wrong version number|packet length|SSL/i,
  ],
  [
    "an expired certificate",
    all,
    async (kind) =>
      secure(kind, await rawDestination(() => {}, pair("expired")), {
        ca_file: pemPath("expired"),
      }),
    /certificate has expired/,
  ],
  [
    "a certificate of a stranger",
    all,
    async (kind) =>
      secure(kind, await rawDestination(() => {}, pair("stranger")), { ca_file: pemPath("ca") }),
    /self-signed|unable to verify|certificate/,
  ],
  [
    "a certificate for another name",
    all,
    async (kind) =>
      secure(kind, await rawDestination(() => {}, pair("server")), {
        ca_file: pemPath("ca"),
        server_name_override: "elsewhere.test",
      }),
    /elsewhere\.test/,
  ],
  [
    "TLS without HTTP/2",
    ["otlp_grpc"],
    async (kind) =>
      secure(
        kind,
        await rawDestination(() => {}, { ...pair("server"), ALPNProtocols: ["http/1.1"] }),
        { ca_file: pemPath("ca") },
      ),
    /not HTTP\/2|no application protocol/i,
  ],
  [
    "an HTTP/1 server",
    ["otlp_grpc"],
    async (kind) =>
      plainOptions(
        kind,
        await rawDestination((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
      ),
    /Protocol error|closed|session/i,
  ],
  [
    "a proxy that is away",
    overHttp,
    async () => ({ endpoint: "http://127.0.0.1:1", proxy_url: `http://${await closedPort()}` }),
    /proxy cannot be reached.*ECONNREFUSED/,
  ],
  [
    "a proxy that is away, for TLS",
    overHttp,
    async () => ({ endpoint: "https://127.0.0.1:1", proxy_url: `http://${await closedPort()}` }),
    /proxy cannot be reached.*ECONNREFUSED/,
  ],
  [
    "a proxy that refuses a tunnel",
    overHttp,
    async () => ({
      endpoint: "https://127.0.0.1:1",
      proxy_url: `http://${await rawDestination((socket) => socket.end("HTTP/1.1 403 No\r\n\r\n"))}`,
    }),
    /refuses a tunnel to 127.0.0.1:1: HTTP 403/,
  ],
  [
    "a proxy that is no proxy",
    overHttp,
    async () => ({
      endpoint: "https://127.0.0.1:1",
      proxy_url: `http://${await rawDestination((socket) => socket.end("hello\r\n\r\n"))}`,
    }),
    /proxy's answer is not HTTP/,
  ],
  [
    "a proxy that wants credentials",
    overHttp,
    async () => ({
      endpoint: "http://127.0.0.1:1",
      proxy_url: `http://${await rawDestination((socket) => socket.once("data", () => socket.end("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")))}`,
    }),
    /HTTP 407/,
  ],
];

test.each(
  STARTING_FAULTS.flatMap(([name, kinds, options, why]) =>
    kinds.map((kind) => [kind, name, options, why] as const),
  ),
)("%s: %s, until that is corrected", async (kind, _name, options, why) => {
  const { route, complaints } = await whileBroken(kind, await options(kind));
  await until(() => complaints().length > 0);
  expect(route.counts()).toEqual(nothingLost);
  expect(String(complaints()[0]?.fields["why"])).toMatch(why);
  await route.restart();
  await deliverAfterwards(kind, route);
});

test.each([
  ["influxdb", { status: 503, headers: { "retry-after": String(HUNDRED_YEARS) } }],
  ["otlp_http", { status: 429, headers: { "retry-after": String(HUNDRED_YEARS) } }],
  ["otlp_http", { status: 503, headers: { "retry-after": "Fri, 21 Nov 2126 00:00:00 GMT" } }],
  ["loki", { status: 429, headers: { "retry-after": String(HUNDRED_YEARS) } }],
] as const)("%s: %j is waited for, but not for 100 years", async (kind, fault) => {
  const destination = await httpDestination(kind, fault, false);
  const { route, complaints } = await whileBroken(kind, plainOptions(kind, destination.url));
  await until(() => complaints().length > 0);
  expect(complaints()[0]?.fields["pauseMs"]).toBe(300_000);
  await route.restart();
  expect(route.counts()).toEqual(nothingLost);
  expect(destination.seen()).toBeLessThanOrEqual(2);
  await deliverAfterwards(kind, route);
});
