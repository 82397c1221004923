import { constants, type Http2Session, type ServerHttp2Session } from "node:http2";

/** Pings that one side sends: a connection whose other side does not answer is dead (gRPC keepalive). */
export interface KeepalivePings {
  readonly everyMs: number;
  /** A peer that has not answered after this is gone. */
  readonly timeoutMs: number;
}

/** What clients may ping. */
export interface EnforcedPings {
  /** Least time between two pings. */
  readonly minMs: number;
  /** Whether they may ping while no call is open; if not, then once in two hours. */
  readonly withoutCalls: boolean;
}

/** So many pings that come too early are forgiven, as in gRPC's own servers; an answered call forgives all. */
const STRIKES = 2;
const WITHOUT_CALLS_MS = 7_200_000;

/** Pings a session until the returned function is called. */
export function sendPings(
  session: Http2Session,
  { everyMs, timeoutMs }: KeepalivePings,
): () => void {
  let deadline: NodeJS.Timeout | undefined;
  const timer = setInterval(() => {
    if (session.destroyed || deadline !== undefined) return;
    deadline = setTimeout(() => session.destroy(), timeoutMs);
    deadline.unref();
    session.ping(() => {
      clearTimeout(deadline);
      deadline = undefined;
    });
  }, everyMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    clearTimeout(deadline);
  };
}

/** Closes the connection of a client that pings too often, with GOAWAY ENHANCE_YOUR_CALM "too_many_pings". */
export function guardPings(
  session: ServerHttp2Session,
  { minMs, withoutCalls }: EnforcedPings,
): void {
  let last = Number.NEGATIVE_INFINITY;
  let strikes = 0;
  let open = 0;
  session.on("stream", (stream) => {
    open += 1;
    stream.once("close", () => {
      open -= 1;
      strikes = 0;
      last = Number.NEGATIVE_INFINITY;
    });
  });
  session.on("ping", () => {
    const nowMs = performance.now();
    const leastMs = open === 0 && !withoutCalls ? WITHOUT_CALLS_MS : minMs;
    if (nowMs - last < leastMs) strikes += 1;
    last = nowMs;
    if (strikes <= STRIKES) return;
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from("too_many_pings"));
    session.destroy();
  });
}
