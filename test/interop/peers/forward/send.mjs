// Sends records by @fluent-org/logger: host, port, count. Each mode, with acknowledgements; prints how many were acknowledged.
import { EventTime, FluentClient } from "@fluent-org/logger";

const [host, port, count, sharedPort] = process.argv.slice(2);
const modes = ["Message", "Forward", "PackedForward", "CompressedPackedForward"];
let acknowledged = 0;
/** Records of one nanosecond with the same tags are one row, so each way of sending has a second of its own. */
let second = 1_705_314_600;
const refused = [];

async function send(name, options) {
  const client = new FluentClient(name, {
    ack: { ackTimeout: 20_000 },
    flushInterval: 20,
    ...options,
    socket: { host, ...options.socket },
  });
  second++;
  await client.connect();
  const emits = Array.from({ length: Number(count) }, (_, n) =>
    client.emit("app", { message: `${name} ${n}`, level: "warn", n }, new EventTime(second, n)),
  );
  await Promise.all(emits);
  acknowledged += emits.length;
  await client.shutdown();
}

for (const eventMode of modes)
  await send(`node.${eventMode}`, { eventMode, socket: { port: Number(port) } });
const security = {
  clientHostname: "worker-1",
  sharedKey: "emp-shared",
  username: "user",
  password: "pass",
};
await send("node.secured", {
  eventMode: "PackedForward",
  security,
  socket: { port: Number(sharedPort) },
});
try {
  await Promise.race([
    send("node.wrong", {
      eventMode: "PackedForward",
      security: { ...security, sharedKey: "another" },
      disableReconnect: true,
      socket: { port: Number(sharedPort), disableReconnect: true },
    }),
    new Promise((_, reject) => setTimeout(() => reject(new Error("not let in")), 3_000)),
  ]);
} catch (error) {
  refused.push(error.message);
}
console.log(JSON.stringify({ acknowledged, refused }));
process.exit(0);
