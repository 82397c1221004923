import type { Socket } from "node:net";
import type * as undici from "undici";
import { errorText } from "../error-text.ts";

/** How requests reach their origin through a proxy. */
export interface Proxied {
  readonly connect: undici.buildConnector.connector;
  /** What goes before the path of each request: the origin, where the proxy is to forward it. */
  readonly pathPrefix: string;
  /** A flat list of headers for each request. */
  readonly headers: readonly string[];
}

/** Longest answer of a proxy to CONNECT. */
const ANSWER_BYTES = 16 << 10;
const END_OF_HEAD = "\r\n\r\n";

/**
 * An http origin is asked for by its whole address; to an https one the proxy makes a tunnel (CONNECT, RFC 9110 §9.3.6), through
 * which TLS goes end to end. `toOrigin` and `toProxy` dial; `timeoutMs` is for the tunnel.
 */
export function throughProxy(
  proxy: URL,
  origin: URL,
  toOrigin: undici.buildConnector.connector,
  toProxy: undici.buildConnector.connector,
  timeoutMs: number,
): Proxied {
  const credentials = authorizationOf(proxy);
  const proxyHost = proxy.hostname.replace(/^\[|\]$/g, "");
  const dial: undici.buildConnector.connector = (_options, callback) =>
    toProxy(
      {
        hostname: proxyHost,
        host: proxy.host,
        protocol: proxy.protocol,
        port: proxy.port,
      },
      (...[error, socket]) =>
        error === null ? callback(null, socket) : callback(unreachable(error), null),
    );
  if (origin.protocol === "http:")
    return {
      connect: dial,
      pathPrefix: origin.origin,
      headers: credentials === undefined ? [] : ["proxy-authorization", credentials],
    };
  const target = `${origin.hostname}:${origin.port === "" ? 443 : origin.port}`;
  const connect: undici.buildConnector.connector = (options, callback) =>
    dial(options, (error, socket) => {
      if (error !== null) return callback(error, null);
      tunnel(socket, target, credentials, timeoutMs).then(
        () => toOrigin({ ...options, httpSocket: socket }, callback),
        (reason: Error) => {
          socket.destroy();
          callback(reason, null);
        },
      );
    });
  return { connect, pathPrefix: "", headers: [] };
}

function unreachable(error: Error): Error {
  return new Error(`the proxy cannot be reached: ${errorText(error)}`);
}

/** Resolves when bytes written to the socket go to the target. */
function tunnel(
  socket: Socket,
  target: string,
  credentials: string | undefined,
  timeoutMs: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let head = "";
  const late = () => reject(new Error(`the proxy did not answer CONNECT within ${timeoutMs} ms`));
  const timer = setTimeout(late, timeoutMs);
  const onData = (chunk: Buffer) => {
    head += chunk.toString("latin1");
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0 && head.length <= ANSWER_BYTES) return;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
    if (end < 0 || status === undefined) reject(new Error("the proxy's answer is not HTTP"));
    else if (!status.startsWith("2"))
      reject(new Error(`the proxy refuses a tunnel to ${target}: HTTP ${status}`));
    else if (end + END_OF_HEAD.length < head.length)
      reject(new Error("the proxy sent more than its answer to CONNECT"));
    else resolve();
  };
  const onEnd = () => reject(new Error("the proxy closed the connection"));
  const onError = (error: Error) => reject(unreachable(error));
  socket.on("data", onData).once("close", onEnd).once("error", onError);
  const authorization = credentials === undefined ? "" : `Proxy-Authorization: ${credentials}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.pause();
    socket.off("data", onData).off("close", onEnd).off("error", onError);
  });
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}
