/**
 * What node:http alone costs: reads requests whole, answers 200, and sends as many bytes to a sink as it is told, without a look at any of
 * them. Child process of the service bench; in: a `FloorJob`, out: `{ port }`; in: "read", out: `FloorUse`, once all is sent.
 */
import { Agent, createServer, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface FloorJob {
  /** Where what is sent goes. */
  readonly sinkPort: number;
  /** Bytes in each request that is sent, and one of them for so many that arrive. */
  readonly bytesOut: number;
  readonly requestsPerSent: number;
}

export interface FloorUse {
  readonly requests: number;
  readonly cpuSeconds: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4 });
let requests = 0;
let sending = 0;

function send(port: number, body: Buffer): void {
  sending++;
  const headers = { "content-length": body.length };
  const sent = request({ host: "127.0.0.1", port, method: "POST", agent, headers }, (answer) => {
    answer.resume();
    answer.on("end", () => sending--);
  });
  sent.end(body);
}

async function read(): Promise<FloorUse> {
  while (sending > 0) await sleep(10);
  const { user, system } = process.cpuUsage();
  return { requests, cpuSeconds: (user + system) / 1e6 };
}

process.on("message", (message: FloorJob | "read") => {
  if (message === "read") return void read().then((use) => process.send?.(use));
  const { sinkPort, bytesOut, requestsPerSent } = message;
  const body = Buffer.alloc(bytesOut, "x");
  let due = 0;
  const server = createServer((incoming, answer) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      requests++;
      due += 1 / requestsPerSent;
      if (due >= 1) {
        due--;
        send(sinkPort, body);
      }
      answer.writeHead(200, { "content-type": "application/x-protobuf", "content-length": 0 });
      answer.end();
    });
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    process.send?.({ port });
  });
});
process.on("disconnect", () => process.exit());
