import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../support/service.ts";
import { goInstall } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { INFLUXDB_TOKEN, Stand } from "./stand.ts";

const VERSION = "v1.37.2";
/** Only what is needed, and what other peers of Telegraf may need: all of it takes ten times as long to build. */
const TAGS =
  "custom,inputs.socket_listener,inputs.file,outputs.influxdb,outputs.influxdb_v2,outputs.loki,outputs.opentelemetry,outputs.file,parsers.influx,serializers.influx";
const POINTS = 500;

/** This version has none for InfluxDB 3. */
const OUTPUTS = ["influxdb", "influxdb_v2", "opentelemetry", "loki"] as const;
type Output = (typeof OUTPUTS)[number];
/** Where the points of an output are found. */
const ROWS: Readonly<Record<Output, string>> = {
  influxdb: "interop_telegraf WHERE via = 'influxdb'",
  influxdb_v2: "interop_telegraf WHERE via = 'influxdb_v2'",
  opentelemetry: "interop_telegraf_value WHERE via = 'opentelemetry'",
  loki: `logs WHERE attributes LIKE '%"via":"loki"%'`,
};

let path = "";

/** An unmodified Telegraf: lines over UDP into it, and by its outputs to the influxdb receiver. */
export const telegraf: Peer = {
  name: "telegraf",
  what: "Telegraf's outputs influxdb, influxdb_v2, opentelemetry and loki write to the receivers of their names",
  async install() {
    const built = goInstall("telegraf", "github.com/influxdata/telegraf/cmd/telegraf", VERSION, [
      "-tags",
      TAGS,
    ]);
    path = built.path;
    return built.missing;
  },
  run,
};

async function run(check: Check): Promise<void> {
  const stand = await Stand.start();
  let child: ChildProcess | undefined;
  try {
    const [v1 = 0, v2 = 0, opentelemetry = 0, loki = 0] = await freePorts(OUTPUTS.length);
    const ports = { influxdb: v1, influxdb_v2: v2, opentelemetry, loki };
    const config = join(stand.directory, "telegraf.conf");
    await writeFile(config, telegrafConfig(stand, ports));
    child = spawn(path, ["--config", config], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr?.on("data", (text) => {
      said += String(text);
    });
    for (const end = Date.now() + 20_000; Date.now() < end && !said.includes("Listening on"); )
      await sleep(100);
    for (const output of OUTPUTS) await sendPoints(ports[output]);
    for (const output of OUTPUTS) {
      const rows = () => stand.count(`SELECT count(*) FROM ${ROWS[output]}`);
      let found = 0;
      for (const end = Date.now() + 30_000; found < POINTS && Date.now() < end; await sleep(200))
        found = await rows();
      check(`outputs.${output}: every point is a row`, found === POINTS, `${found} of ${POINTS}`);
    }
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    const errors = said.split("\n").filter((line) => line.includes(" E! "));
    check("it had nothing to complain about", errors.length === 0, errors.join("\n").slice(0, 400));
    await stand.drained();
    await stand.end(check);
  } finally {
    child?.kill("SIGKILL");
    await stand.remove();
  }
}

async function sendPoints(port: number): Promise<void> {
  const socket = createSocket("udp4");
  // Loki takes nothing that is older than a week.
  const begin = BigInt(Date.now() - 60_000) * 1_000_000n;
  for (let i = 0; i < POINTS; i++) {
    const line = `interop_telegraf,host=h\\ 1 value=${i}i,text="a \\"b\\"",ok=true ${begin + BigInt(i)}`;
    await new Promise<void>((resolve) => socket.send(line, port, "127.0.0.1", () => resolve()));
    if (i % 50 === 0) await sleep(20);
  }
  socket.close();
}

/** Each output has an input of its own, whose points are marked, so that both can be told apart in one store. */
function telegrafConfig(stand: Stand, ports: Readonly<Record<Output, number>>): string {
  const { influxdb } = stand;
  const input = (via: Output) => `
[[inputs.socket_listener]]
  service_address = "udp://127.0.0.1:${ports[via]}"
  data_format = "influx"
  [inputs.socket_listener.tags]
    via = "${via}"`;
  return `
[agent]
  flush_interval = "500ms"
  omit_hostname = true
${OUTPUTS.map(input).join("")}
[[outputs.influxdb]]
  urls = ["http://${influxdb}"]
  database = "telegraf"
  username = "any"
  password = "${INFLUXDB_TOKEN}"
  [outputs.influxdb.tagpass]
    via = ["influxdb"]
[[outputs.influxdb_v2]]
  urls = ["http://${influxdb}"]
  token = "${INFLUXDB_TOKEN}"
  organization = "o"
  bucket = "b"
  [outputs.influxdb_v2.tagpass]
    via = ["influxdb_v2"]
[[outputs.opentelemetry]]
  service_address = "${stand.grpc}"
  [outputs.opentelemetry.tagpass]
    via = ["opentelemetry"]
[[outputs.loki]]
  domain = "http://${stand.loki}"
  [outputs.loki.tagpass]
    via = ["loki"]
`;
}
