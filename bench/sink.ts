/**
 * A sink that reads bodies and answers 204, at once or after the milliseconds of its argument, as cheaply as node:net allows. Child process
 * of the benches: tells its port; asked with any message, what it has read.
 */
import { createServer, type Socket } from "node:net";

const ANSWER = Buffer.from("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
const DELAY_MS = Number(process.argv[2] ?? 0);
let bytes = 0;
let requests = 0;

const server = createServer((socket: Socket) => {
  let left = 0; // bytes of the body that are still to come
  let head = "";
  socket.on("error", () => {});
  socket.on("data", (part) => {
    let at = 0;
    while (at < part.length) {
      if (left > 0) {
        const taken = Math.min(left, part.length - at);
        left -= taken;
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
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  process.send?.({ port });
});
process.on("message", () => process.send?.({ bytes, requests }));
process.on("disconnect", () => process.exit());
