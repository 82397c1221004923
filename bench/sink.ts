/**
 * A sink that reads bodies and answers 204, at once or after the milliseconds of its first argument, as cheaply as node:net allows. Child
 * process of the benches: tells its port, which the second argument may name. Messages: "read" asks what it has read, "delays" how long
 * some of the items were on their way since the last such message; "die" makes it cut connections, "live" ends that.
 */
import { createServer, type Socket } from "node:net";

const ANSWER = Buffer.from("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
const DELAY_MS = Number(process.argv[2] ?? 0);
/** The id in the payloads of the bench that is the time of the sender's call, in microseconds of the monotonic clock. */
const STAMP = "execution_id=d-";
const STAMP_DIGITS = 34;
/** Bytes between two looks for a time. */
const LOOK = 16 << 10;
let bytes = 0;
let requests = 0;
let isDead = false;
let delays: number[] | undefined;

/** Delays of some of the items in a piece of a body. */
function sample(part: Buffer, from: number, end: number, into: number[]): void {
  const now = Number(process.hrtime.bigint() / 1_000n);
  for (let at = from; at < end; at += LOOK) {
    const found = part.indexOf(STAMP, at, "latin1");
    const digits = found + STAMP.length;
    if (found < 0 || digits + STAMP_DIGITS > end) return;
    into.push((now - Number(part.toString("latin1", digits, digits + STAMP_DIGITS))) / 1_000);
  }
}

const server = createServer((socket: Socket) => {
  let left = 0; // bytes of the body that are still to come
  let head = "";
  socket.on("error", () => {});
  socket.on("data", (part) => {
    if (isDead) return void socket.destroy();
    let at = 0;
    while (at < part.length) {
      if (left > 0) {
        const taken = Math.min(left, part.length - at);
        left -= taken;
        if (delays !== undefined) sample(part, at, at + taken, delays);
        at += taken;
        bytes += taken;
      } else {
        const rest = head + part.toString("latin1", at, Math.min(part.length, at + 4_096));
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) {
          head = rest;
          return;
        }
        at += end + 4 - head.length;
        head = "";
        left = Number(/content-length: *(\d+)/i.exec(rest.slice(0, end))?.[1] ?? 0);
      }
      if (left === 0 && head === "") {
        requests++;
        if (DELAY_MS === 0) socket.write(ANSWER);
        else setTimeout(() => socket.write(ANSWER), DELAY_MS);
      }
    }
  });
});
server.listen(Number(process.argv[3] ?? 0), "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  process.send?.({ port });
});
process.on("message", (message) => {
  if (message === "read") process.send?.({ bytes, requests });
  else if (message === "delays") {
    process.send?.({ delays: delays ?? [] });
    delays = [];
  } else isDead = message === "die";
});
process.on("disconnect", () => process.exit());
