import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { folder, once, SOURCES, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { Stand } from "./stand.ts";

/** Records in each way of sending. */
const COUNT = 200;
const WAYS = ["Message", "Forward", "PackedForward", "CompressedPackedForward", "secured"];

function run(command: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    timeout: 120_000,
    cwd,
  });
  return { isFine: status === 0, stdout, stderr: stderr.slice(-400) };
}

const countOf = (tag: string) =>
  `SELECT count(*) FROM logs WHERE attributes LIKE '%"fluent.tag":"${tag}"%'`;

const python: Peer = {
  name: "fluent-logger-python",
  what: "Python's fluent-logger sends to the fluent_forward receiver",
  install: async () => {
    const home = folder("forward-python");
    return once(
      home,
      "forward/requirements.txt",
      "requirements.txt",
      () =>
        step("python3", ["-m", "venv", "venv"], { cwd: home }) ??
        step("venv/bin/pip", ["install", "-q", "-r", "requirements.txt"], { cwd: home }),
    );
  },
  run: (check) =>
    withStand(check, async (stand) => {
      const home = folder("forward-python");
      const [host = "", port = ""] = stand.forward.split(":");
      const script = join(SOURCES, "forward", "send.py");
      const sent = run(join(home, "venv", "bin", "python"), [script, host, port, `${COUNT}`], home);
      check("the script ended well", sent.isFine, sent.stderr);
      check("it says that all were sent", sent.stdout.trim() === `${2 * COUNT}`, sent.stdout);
      await arrived(stand, 2 * COUNT);
      for (const tag of ["py.app", "pyasync.app"]) {
        const rows = await stand.count(countOf(tag));
        check(`${tag}: every record is a row`, rows === COUNT, String(rows));
      }
      const [row] = await stand.rows(
        `SELECT level, attributes FROM logs WHERE message = 'python 7'`,
      );
      const attributes = JSON.parse(String(row?.["attributes"] ?? "{}")) as object;
      const expected = { n: 7, ratio: 1.75, "nested.ok": true };
      const isWhole = Object.entries(expected).every(
        ([name, value]) => Reflect.get(attributes, name) === value,
      );
      check(
        "levels and types are whole",
        row?.["level"] === "info" && isWhole,
        JSON.stringify(row),
      );
    }),
};

const node: Peer = {
  name: "fluent-logger-node",
  what: "@fluent-org/logger for Node sends to the fluent_forward receiver in all modes, with acknowledgements and with the handshake",
  install: async () => {
    const home = folder("forward-node");
    copyFileSync(join(SOURCES, "forward", "send.mjs"), join(home, "send.mjs"));
    return once(home, "forward/package.json", "package.json", () =>
      step("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: home }),
    );
  },
  run: (check) =>
    withStand(check, async (stand) => {
      const home = folder("forward-node");
      const [host = "", port = ""] = stand.forward.split(":");
      const secured = stand.forwardSecured.split(":")[1] ?? "";
      const sent = run(process.execPath, ["send.mjs", host, port, `${COUNT}`, secured], home);
      check("the script ended well", sent.isFine, sent.stderr);
      const said = JSON.parse(sent.stdout || "{}") as { acknowledged?: number; refused?: string[] };
      const all = WAYS.length * COUNT;
      check("all were acknowledged", said.acknowledged === all, sent.stdout);
      check("a wrong key is not let in", said.refused?.length === 1, String(said.refused));
      await arrived(stand, all);
      for (const way of WAYS) {
        const rows = await stand.count(countOf(`node.${way}.app`));
        check(`${way}: every record is a row`, rows === COUNT, String(rows));
      }
      const wrong = await stand.count(countOf("node.wrong.app"));
      check("of the wrong key there is none", wrong === 0, String(wrong));
    }),
};

/** Python's loggers wait for no acknowledgement: what they sent may still be on its way. */
async function arrived(stand: Stand, records: number): Promise<void> {
  const appended = async () =>
    (await stand.service.law()).reduce((sum, law) => sum + law.appended, 0);
  for (const end = Date.now() + 10_000; Date.now() < end && (await appended()) < records; )
    await new Promise((resolve) => setTimeout(resolve, 100));
  await stand.drained();
}

async function withStand(check: Check, work: (stand: Stand) => Promise<void>): Promise<void> {
  const stand = await Stand.start();
  try {
    await work(stand);
    await stand.end(check);
  } finally {
    await stand.remove();
  }
}

/** Loggers that speak the forward protocol. */
export const fluentLoggers: readonly Peer[] = [python, node];
