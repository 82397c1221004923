import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** What a sink may do with a request instead of storing it and saying so. */
export interface Mood {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  /** `early`: before the body is read. `keeps`: stores it and lets the sender believe that it failed, or does not say so cleanly. */
  readonly when?: "early" | "keeps";
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
}

const EVERY_MS = 1_000;

const status =
  (code: number, body = "", headers: Readonly<Record<string, string>> = {}): Mood["answer"] =>
  (_, response) =>
    void response.writeHead(code, headers).end(body);
/** These bytes and the end of the connection. */
const bytes =
  (text: string): Mood["answer"] =>
  (request) =>
    void request.socket.end(text, "latin1");
const reset: Mood["answer"] = ({ socket }) => void socket.resetAndDestroy();
/** The sender's timeout ends it. */
const nothing: Mood["answer"] = () => {};

/** Every run has these. */
export const MOODS: readonly Mood[] = [
  { name: "503", weight: 1, answer: status(503, "busy") },
  { name: "429", weight: 1, answer: status(429, "slow down", { "retry-after": "1" }) },
  { name: "hang", weight: 1, answer: nothing },
  { name: "reset", weight: 1, answer: reset },
  { name: "store, reset", weight: 1, when: "keeps", answer: reset },
  { name: "store, hang", weight: 1, when: "keeps", answer: nothing },
];

/** `--faults` adds these. A sink that is down refuses connections; a 413 and rejects are the sink's own. */
export const FAULTS: readonly Mood[] = [
  ...MOODS,
  // rare: these pause the route for 10 s, or until the next kill
  { name: "401", weight: 0.03, answer: status(401, "who are you") },
  { name: "redirect to itself", weight: 0.03, answer: redirect },
  { name: "500", weight: 1, answer: status(500, "oh") },
  { name: "502, HTML", weight: 1, answer: status(502, "<html>proxy</html>") },
  { name: "reset before the body", weight: 1, when: "early", answer: reset },
  { name: "503 before the body", weight: 1, when: "early", answer: status(503, "busy") },
  { name: "not HTTP", weight: 1, answer: bytes("SSH-2.0-OpenSSH_9.2\r\n") },
  { name: "half an error", weight: 1, answer: bytes(half(500)) },
  { name: "half a status line", weight: 1, when: "keeps", answer: bytes("HTTP/1.1 2") },
  { name: "half a success", weight: 1, when: "keeps", answer: bytes(half(200)) },
  { name: "HTTP/1.0", weight: 1, when: "keeps", answer: bytes("HTTP/1.0 204 Fine\r\n\r\n") },
  { name: "1 byte per second", weight: 1, when: "keeps", answer: slow },
  { name: "endless success", weight: 0.3, when: "keeps", answer: endless(200) },
  { name: "endless error", weight: 0.3, answer: endless(503) },
];

/** One of them, by weight. */
export function moodOf(moods: readonly Mood[], random: number): Mood {
  let left = random * moods.reduce((sum, { weight }) => sum + weight, 0);
  for (const mood of moods) {
    left -= mood.weight;
    if (left < 0) return mood;
  }
  return moods[0] as Mood;
}

function half(code: number): string {
  return `HTTP/1.1 ${code} Half\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nthis is not all`;
}

function redirect(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(307, { location: request.url ?? "/" }).end();
}

function slow({ socket }: IncomingMessage): void {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  let at = 0;
  repeat(socket, EVERY_MS, () => void socket.write(text.charAt(at++)));
}

function endless(code: number): Mood["answer"] {
  const part = Buffer.alloc(256 << 10, "x");
  return ({ socket }) => {
    socket.write(`HTTP/1.1 ${code} Long\r\nContent-Length: 1000000000000\r\n\r\n`);
    repeat(socket, 5, () => void (socket.writableNeedDrain || socket.write(part)));
  };
}

/** Until the sender closes. */
function repeat(socket: Duplex, ms: number, write: () => void): void {
  const timer = setInterval(write, ms);
  socket.on("close", () => clearInterval(timer));
}
