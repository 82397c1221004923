import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { parseEndpoint } from "./listen-endpoint.ts";

/** Who wanted which address, for the person who reads the error. */
export interface WantedAddress {
  /** For example "line_protocol (udp)". */
  readonly what: string;
  readonly endpoint: string;
  /** Where the address is configured: "receivers.line_protocol.udp.endpoint". */
  readonly option?: string;
  readonly transport?: "tcp" | "udp";
}

/** What usually listens on a port that we listen on by default. */
const OWNERS: Readonly<Record<number, string>> = {
  3100: "Loki",
  4317: "another OpenTelemetry Collector (OTLP over gRPC)",
  4318: "another OpenTelemetry Collector (OTLP over HTTP)",
  4323: "an AWS Lambda Telemetry API listener",
  8080: "a web server",
  8086: "InfluxDB 1 or 2",
  8094: "Telegraf (socket_listener)",
  8181: "InfluxDB 3",
  8888: "the metrics page of another OpenTelemetry Collector",
  9529: "DataKit",
  13133: "the health_check of another OpenTelemetry Collector",
  24224: "Fluentd or Fluent Bit",
};
/** Ports tried for the proposal, counted from the one that is taken. */
const TRIES = 20;

/** Why a listener could not start, in words that say what to do next. */
export async function describeListenError(error: Error, wanted: WantedAddress): Promise<Error> {
  const { what, endpoint } = wanted;
  const option = wanted.option ?? "its endpoint";
  const code = "code" in error ? error.code : undefined;
  const { host, port } = parseEndpoint(endpoint);
  const start = `${what} cannot listen on ${endpoint}`;
  let text = `${start}: ${error.message} (set by ${option})`;
  if (code === "EADDRINUSE") {
    const owner = OWNERS[port] === undefined ? "" : `, usually by ${OWNERS[port]}`;
    const free = await freePort(host, port, wanted.transport ?? "tcp");
    const proposal = free === undefined ? "" : `; port ${free} is free`;
    text = `${start}: the address is in use${owner}. Stop the other program or change ${option}${proposal}`;
  } else if (code === "EACCES")
    text = `${start}: no permission. Ports below 1024 need root or CAP_NET_BIND_SERVICE; or change ${option}`;
  else if (code === "EADDRNOTAVAIL")
    text = `${start}: this machine has no such address. Change ${option}, for example to 127.0.0.1:${port}`;
  else if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    text = `${start}: the host name is unknown. Change ${option}, for example to 127.0.0.1:${port}`;
  return new Error(text, { cause: error });
}

async function freePort(
  host: string | undefined,
  taken: number,
  transport: "tcp" | "udp",
): Promise<number | undefined> {
  const isFree = transport === "tcp" ? isTcpFree : isUdpFree;
  for (let port = taken + 1; port <= Math.min(taken + TRIES, 65_535); port++)
    if (await isFree(host, port)) return port;
  return undefined;
}

function isTcpFree(host: string | undefined, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, ...(host !== undefined && { host }) }, () =>
      server.close(() => resolve(true)),
    );
  });
}

function isUdpFree(host: string | undefined, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(host?.includes(":") ? "udp6" : "udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, ...(host !== undefined && { address: host }) }, () =>
      socket.close(() => resolve(true)),
    );
  });
}
