/** Load over raw sockets. Child process of the service bench: a job in, `{ ok, other }` out. */

import { createSocket } from "node:dgram";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";

export interface HttpLoad {
  readonly kind: "http";
  readonly port: number;
  /** Base64 of whole HTTP requests, sent in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Requests of all connections together; absent: as many as are answered. */
  readonly perSecond?: number;
  readonly ms: number;
}
export interface GrpcLoad {
  readonly kind: "grpc";
  readonly port: number;
  readonly path: string;
  /** Base64 of messages with their prefixes, sent in turn. */
  readonly messages: readonly string[];
  readonly connections: number;
  /** Calls in flight per connection. */
  readonly streams: number;
  readonly ms: number;
}
export interface ForwardLoad {
  readonly kind: "forward";
  readonly port: number;
  /** Base64 of a message; its sender waits for the acknowledgement before it sends it again. */
  readonly message: string;
  readonly connections: number;
  readonly ms: number;
}
export interface UdpLoad {
  readonly kind: "udp";
  readonly port: number;
  readonly datagram: string;
  readonly perSecond: number;
  readonly ms: number;
}
export interface LoadResult {
  readonly ok: number;
  readonly other: number;
}

export type Load = HttpLoad | GrpcLoad | ForwardLoad | UdpLoad;

process.on("message", (load: Load) => {
  run(load)
    .then((result) => process.send?.(result))
    .catch((error) => console.error(error));
});
process.on("disconnect", () => process.exit());

function run(load: Load): Promise<LoadResult> {
  switch (load.kind) {
    case "http":
      return http(load);
    case "grpc":
      return grpc(load);
    case "forward":
      return forward(load);
    case "udp":
      return udp(load);
  }
}

async function http(load: HttpLoad): Promise<LoadResult> {
  const requests = load.requests.map((request) => Buffer.from(request, "base64"));
  let turn = 0;
  const next = () => requests[turn++ % requests.length] as Buffer;
  const begun = performance.now();
  const end = begun + load.ms;
  const { perSecond = Number.POSITIVE_INFINITY } = load;
  let sent = 0;
  const send = (socket: Socket) => {
    const waitMs = begun + (sent++ * 1_000) / perSecond - performance.now();
    if (waitMs < 1) socket.write(next());
    else setTimeout(() => socket.write(next()), waitMs);
  };
  let ok = 0;
  let other = 0;
  const connection = () =>
    new Promise<void>((resolve) => {
      const socket = connect(load.port, "127.0.0.1", () => send(socket));
      socket.setNoDelay(true);
      socket.on("error", () => resolve());
      socket.on("close", () => resolve());
      socket.on("data", (part) => {
        if (part.toString("latin1", 9, 10) === "2") ok++;
        else other++;
        if (performance.now() < end) send(socket);
        else socket.end();
      });
    });
  // a refusal may end a connection
  const one = async () => {
    while (performance.now() < end) await connection();
  };
  await Promise.all(Array.from({ length: load.connections }, one));
  return { ok, other };
}

async function grpc(load: GrpcLoad): Promise<LoadResult> {
  const messages = load.messages.map((message) => Buffer.from(message, "base64"));
  const headers = {
    ":method": "POST",
    ":path": load.path,
    "content-type": "application/grpc",
    te: "trailers",
  };
  let turn = 0;
  let ok = 0;
  let other = 0;
  const end = performance.now() + load.ms;
  const call = (session: ClientHttp2Session) =>
    new Promise<void>((resolve) => {
      const stream = session.request(headers);
      stream.on("error", () => {});
      stream.on("trailers", (trailers) => {
        if (trailers["grpc-status"] === "0") ok++;
        else other++;
      });
      stream.on("close", () => resolve());
      stream.resume();
      stream.end(messages[turn++ % messages.length]);
    });
  const lane = async (session: ClientHttp2Session) => {
    while (performance.now() < end && !session.destroyed) await call(session);
  };
  const sessions = Array.from({ length: load.connections }, () =>
    connectHttp2(`http://127.0.0.1:${load.port}`, { maxSessionMemory: 1_000 }),
  );
  await Promise.all(
    sessions.flatMap((session) => Array.from({ length: load.streams }, () => lane(session))),
  );
  for (const session of sessions) session.close();
  return { ok, other };
}

async function forward(load: ForwardLoad): Promise<LoadResult> {
  const message = Buffer.from(load.message, "base64");
  let ok = 0;
  const end = performance.now() + load.ms;
  const connection = () =>
    new Promise<void>((resolve) => {
      const socket = connect(load.port, "127.0.0.1", () => socket.write(message));
      socket.setNoDelay(true);
      socket.on("error", () => resolve());
      socket.on("close", () => resolve());
      socket.on("data", () => {
        ok++;
        if (performance.now() < end) socket.write(message);
        else socket.end();
      });
    });
  await Promise.all(Array.from({ length: load.connections }, connection));
  return { ok, other: 0 };
}

/** Sends at a steady rate; `ok` is how many. What the kernel drops, it counts at the receiver's socket. */
async function udp(load: UdpLoad): Promise<LoadResult> {
  const socket = createSocket({ type: "udp4", sendBufferSize: 8 << 20 });
  const datagram = Buffer.from(load.datagram);
  await new Promise<void>((resolve) => socket.connect(load.port, "127.0.0.1", resolve));
  const begun = performance.now();
  let sent = 0;
  for (let now = begun; now - begun < load.ms; now = performance.now()) {
    const due = Math.floor(((now - begun) * load.perSecond) / 1_000);
    for (; sent < due; sent++) socket.send(datagram);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.close();
  return { ok: sent, other: 0 };
}
