import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { startInfluxdb } from "./influxdb-receiver.ts";
import { ReceiverRig } from "./receiver-rig.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/** Damaged requests to the influxdb receiver over real sockets, `rounds` times: each is answered or its connection closed, and nothing stays behind. */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const rig = new ReceiverRig("influxdb");
const { address, stop } = await startInfluxdb(rig, {
  tokens: ["t"],
  databases: { d: {} },
  database_attribute: "db",
  read_timeout: "500ms",
});
const [host = "", port = ""] = address.split(":");

const TARGETS = [
  "/write?db=d&precision=s&u=x&p=t",
  "/api/v2/write?org=o&bucket=d&precision=ms",
  "/api/v3/write_lp?db=d&precision=auto&accept_partial=false",
  "/query?q=CREATE%20DATABASE%20d&p=t",
  "/ping",
  "/api/v3/query_sql?db=d",
];
const LINES = 'm,t=a\\ b v=1i,s="x\ny",l=[1i,2i] 1705314600\nbad\n# c\nm2 v=1.5e3,b=T\n';

function requestText(): Buffer {
  const body = random(3) === 0 ? gzipSync(LINES) : Buffer.from(LINES);
  const coding = random(3) === 0 ? "Content-Encoding: gzip\r\n" : "";
  const head = `POST ${TARGETS[random(TARGETS.length)]} HTTP/1.1\r\nHost: x\r\nAuthorization: Token t\r\n${coding}Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

async function one(bytes: Uint8Array): Promise<void> {
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  const done = Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.on("connect", () => {
    socket.write(bytes);
    if (random(2) === 0) socket.end();
  });
  await done.catch(() => {});
  socket.destroy();
}

const AT_ONCE = 128;
for (let round = 0; round < rounds; round += AT_ONCE)
  await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, rounds - round) }, () => {
      const good = requestText();
      const isCut = random(4) === 0;
      return one(isCut ? good.subarray(0, random(good.length)) : damagedCopy(good, random));
    }),
  );
await stop();
if (rig.budget.used !== 0) throw new Error(`${rig.budget.used} bytes were not given back`);
const broken = rig.said.filter((text) => text.includes("inside weir"));
if (broken.length > 0) throw new Error(broken[0]);
console.log(`${rounds} rounds`);
