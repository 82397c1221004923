import { createSocket } from "node:dgram";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeMulti } from "@msgpack/msgpack";
import { SENT } from "../receivers/http_logs/senders.ts";
import { CAPTURES as DFF, POINTS as DFF_POINTS, replayCapture } from "../support/dff-captures.ts";
import { dial } from "../support/otlp-door.ts";
import { exchange } from "../support/raw-http.ts";
import type { ShippedService } from "../support/shipped-config.ts";
import { until } from "../support/until.ts";

/** Something that a sender sent, and what the fixture itself says of it. */
export interface Capture {
  readonly sender: string;
  /** Of the sender; "composed": written by hand after its source or document. */
  readonly version: string;
  readonly name: string;
  readonly requests: number;
  readonly rows: number;
  /** Where the rows are counted; absent: in all tables. */
  readonly tables?: readonly string[];
  /** Sends it as the sender did. Resolves with what was wrong with the answer, or "". */
  readonly send: (weir: ShippedService) => Promise<string>;
}

const FIXTURES = join(import.meta.dirname, "..", "fixtures");
const read = (...path: string[]) => readFileSync(join(FIXTURES, ...path));
const readJson = <T>(...path: string[]) => JSON.parse(read(...path).toString()) as T;

/** A request as it goes over the wire. */
function requestOf(
  method: string,
  path: string,
  headers: readonly (readonly [name: string, value: string])[],
  body: Uint8Array,
): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`), body]);
}

function posted(
  port: number,
  path: string,
  type: Readonly<Record<string, string>>,
  body: Buffer,
  answer?: RegExp,
) {
  const own = [
    ["Host", "weir"],
    ["Content-Length", String(body.length)],
  ] as const;
  return sent(port, requestOf("POST", path, [...own, ...Object.entries(type)], body), answer);
}

function sent(port: number, request: Buffer, answer = /^HTTP\/1\.1 2\d\d /): Capture["send"] {
  return async (weir) => {
    const [line = ""] = (await exchange(`127.0.0.1:${weir.port(port)}`, request)).split("\r\n");
    return answer.test(line) ? "" : line;
  };
}

/** All of a connection by the forward protocol; the acknowledgements must be those of the chunks. */
function forwarded(file: string, acks: readonly string[]): Capture["send"] {
  return async (weir) => {
    const socket = await dial(`127.0.0.1:${weir.port(24224)}`);
    const parts: Buffer[] = [];
    socket.on("data", (part: Buffer) => parts.push(part));
    socket.write(read("seeds", "forward", file));
    const told = () =>
      [...decodeMulti(Buffer.concat(parts))].map((answer) => (answer as { ack: string }).ack);
    await until(() => told().length >= acks.length);
    socket.end();
    await until(() => socket.closed);
    return told().join() === acks.join() ? "" : `acknowledged ${told()}, expected ${acks}`;
  };
}

const dff = DFF.map((name): Capture => {
  const send = async (weir: ShippedService) => {
    const [line = ""] = (await replayCapture(`127.0.0.1:${weir.port(9529)}`, name)).split("\r\n");
    return line === "HTTP/1.1 200 OK" ? "" : line;
  };
  const rows = DFF_POINTS[name] ?? 0;
  return { sender: "DataFlux Func", version: "daf225bb", name, requests: 1, rows, send };
});

interface Head {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
}
const BIT = "fluent-bit-captures";
const fluentBit = Object.entries(
  readJson<Record<string, { port: number; path?: string; records: number }>>(BIT, "expected.json"),
).map(([name, { port, path, records }]): Capture => {
  const { method, url, rawHeaders } = readJson<Head>(BIT, `${name}.head.json`);
  const headers = rawHeaders.flatMap((header, i) =>
    i % 2 === 0 ? [[header, rawHeaders[i + 1] ?? ""] as const] : [],
  );
  const request = requestOf(method, path ?? url, headers, read(BIT, `${name}.body`));
  const own = { name, requests: 1, rows: records, send: sent(port, request) };
  return { sender: "Fluent Bit", version: "5.1.1", ...own };
});

const FORWARD = readJson<Record<string, { records: number; acks: string[] }>>(
  ...["seeds", "forward", "expected.json"],
);
const forward = Object.entries({
  ...FORWARD,
  // Three parts of one line.
  "docker-message-partial.msgpack": { records: 1, acks: [] },
}).map(([name, { records, acks }]): Capture => {
  const isCaptured = name.startsWith("forward-conn");
  const other = name.startsWith("docker") ? "Docker's fluentd driver" : "fluent-logger, Fluentd";
  return {
    sender: isCaptured ? "Fluent Bit" : other,
    version: isCaptured ? "5.1.1" : "composed",
    ...{ name, requests: 1, rows: records, send: forwarded(name, acks) },
  };
});

const http = SENT.map(({ sender, path, headers, body, records }): Capture => {
  const own = { name: path, requests: 1, rows: records };
  return { sender, version: "composed", ...own, send: posted(8080, path, headers, body) };
});

/** By type of event: a report ends an invocation, a line is a line. */
const lambda = [1, 2, 3].map((number): Capture => {
  const name = `webhook-${number}.json`;
  const body = read("seeds", "lambda", name);
  const rows = (JSON.parse(body.toString()) as { type: string }[]).filter(({ type }) =>
    ["platform.report", "function", "extension"].includes(type),
  ).length;
  return {
    ...{ sender: "AWS Lambda", version: "67e578a", name, requests: 1, rows },
    tables: ["function_logs", "logs"],
    send: posted(4323, "/", { "Content-Type": "application/json" }, body),
  };
});

const linesIn = (body: Buffer) =>
  body
    .toString()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

function datakit(name: string, type: string, rows: number, answer?: RegExp): Capture {
  const headers = { "Content-Type": type };
  const send = posted(9529, "/v1/write/metric", headers, read("seeds", "datakit", name), answer);
  return { sender: "DataKit", version: "9264e037", name, requests: 1, rows, send };
}

const DART_LINES = linesIn(read("seeds", "dart", "udp-lines.lp"));
const LUNA = read("seeds", "luna", "write.lp");
const LOKI_TYPE = { "User-Agent": "Go-http-client/1.1" };

const others: readonly Capture[] = [
  // Four points; two of one series have the same time, as seconds and as milliseconds, and are one row.
  datakit("write-types.lp", "text/plain", 3),
  // Two of four lines lack a value: the answer says so, the others are kept.
  datakit("bad-lines.lp", "text/plain", 2, /^HTTP\/1\.1 400 /),
  datakit("write.json", "application/json", readJson<[]>("seeds", "datakit", "write.json").length),
  datakit(
    "write.pbjson.json",
    "application/pbjson; proto=com.guance.Point",
    readJson<[]>("seeds", "datakit", "write.pbjson.json").length,
  ),
  {
    ...{ sender: "Dart Cloud, UDP", version: "composed", name: "udp-lines.lp" },
    ...{ requests: DART_LINES.length, rows: DART_LINES.length },
    send: async (weir) => {
      const socket = createSocket("udp4");
      for (const line of DART_LINES)
        await new Promise((done) => socket.send(line, weir.port(8094), "127.0.0.1", done));
      socket.close();
      return "";
    },
  },
  {
    ...{ sender: "Dart Cloud, backup file", version: "composed", name: "logs.json" },
    requests: 1,
    rows: Object.values(readJson<Record<string, []>>("seeds", "dart", "logs.json")).flat().length,
    send: async (weir) => {
      const directory = weir.real("./data/functions/550e8400");
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, "logs.json"), read("seeds", "dart", "logs.json"));
      return "";
    },
  },
  {
    ...{ sender: "LUNA", version: "composed", name: "write.lp", requests: 1 },
    rows: linesIn(LUNA).length,
    send: posted(
      ...([8086, "/api/v2/write?org=luna&bucket=luna_monitoring&precision=ns"] as const),
      { Authorization: "Token t", "Content-Type": "text/plain" },
      LUNA,
    ),
  },
  ...(["json", "protobuf.snappy"] as const).map((kind): Capture => {
    const type = kind === "json" ? "application/json" : "application/x-protobuf";
    const body = read("seeds", "loki", `api-prom-push.${kind}`);
    const own = { name: `api-prom-push.${kind}`, requests: 1, rows: 2 };
    const send = posted(3100, "/api/prom/push", { ...LOKI_TYPE, "Content-Type": type }, body);
    return { sender: "promtail-client", version: "506f3f92", ...own, send };
  }),
];

/** All that is in the fixtures, in the order in which it is replayed. */
export const CAPTURES: readonly Capture[] = [
  ...[...dff, ...fluentBit, ...forward, ...http, ...lambda, ...others],
];
