import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { ClientTls } from "../tls/tls-client.ts";
import type { GrpcTarget } from "./grpc-target.ts";

export interface DialOptions {
  readonly target: GrpcTarget;
  readonly tls: ClientTls | undefined;
  /** round_robin: the next of all addresses of the host; pick_first: the first that answers. */
  readonly balancer: "pick_first" | "round_robin";
  /** For each address. */
  readonly connectTimeoutMs: number;
  /** Addresses of a host; tests have their own. Default: the system's. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

/** Idle connections are looked after by the system, so that a dead one is noticed before a call waits on it. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * A connection that speaks HTTP/2, as far as TLS can tell. `turn` says which of several addresses is tried first; the others follow when
 * it does not answer. Rejects with what to tell a person.
 */
export async function dial(options: DialOptions, turn: number, stop: AbortSignal): Promise<Socket> {
  stop.throwIfAborted();
  const addresses = await orStopped(addressesOf(options), stop);
  let trouble: unknown;
  for (let i = 0; i < addresses.length; i++) {
    stop.throwIfAborted();
    const host = addresses[(turn + i) % addresses.length] ?? options.target.host;
    try {
      return await dialAt(host, options, stop);
    } catch (reason) {
      trouble ??= reason;
    }
  }
  throw trouble ?? new Error(`${options.target.host} has no address`);
}

async function addressesOf({ target, balancer, resolve }: DialOptions): Promise<readonly string[]> {
  if (balancer === "pick_first" || isIP(target.host) !== 0) return [target.host];
  return await (resolve ?? lookUp)(target.host);
}

async function lookUp(host: string): Promise<readonly string[]> {
  const all = await lookup(host, { all: true });
  return all.map(({ address }) => address);
}

/** The system's resolver cannot be stopped; what it says too late is not wanted. */
function orStopped<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onStop = () => reject(stop.reason);
  stop.addEventListener("abort", onStop);
  work.then(resolve, reject);
  return promise.finally(() => stop.removeEventListener("abort", onStop));
}

async function dialAt(
  host: string,
  { target, tls, connectTimeoutMs }: DialOptions,
  stop: AbortSignal,
): Promise<Socket> {
  const where = { host, port: target.port };
  const socket = target.isTls
    ? connectTls({
        ...(isIP(target.host) === 0 && { servername: target.host }),
        ...tls?.options,
        ...where,
        ALPNProtocols: ["h2"],
      })
    : connectTcp(where);
  socket.setNoDelay(true).setKeepAlive(true, TCP_KEEPALIVE_MS);
  await opened(socket, target.isTls, connectTimeoutMs, stop);
  if (target.isTls && (socket as TLSSocket).alpnProtocol !== "h2") {
    socket.destroy();
    throw new Error("the server speaks TLS but not HTTP/2: is this a gRPC endpoint?");
  }
  return socket;
}

/** Resolves when the socket is ready; destroys it when it does not get there in time. */
function opened(
  socket: Socket,
  isTls: boolean,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const end = (reason: unknown) => {
    reject(reason);
    socket.destroy();
  };
  const onStop = () => end(stop.reason);
  const late = () => end(new Error(`no connection within ${timeoutMs} ms`));
  const timer = setTimeout(late, timeoutMs);
  stop.addEventListener("abort", onStop);
  socket.once(isTls ? "secureConnect" : "connect", () => resolve());
  // Stays: a socket without it would end the process.
  socket.on("error", end);
  socket.once("close", () => end(new Error("the connection was closed while it was being set up")));
  return promise.finally(() => {
    clearTimeout(timer);
    stop.removeEventListener("abort", onStop);
  });
}
