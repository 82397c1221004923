import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { folder, once, SOURCES, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { INFLUXDB_TOKEN, Stand } from "./stand.ts";

/** Points that each script writes, besides a hundred and fifty from a loop and one beside a bad line. */
const LINES = 150;

/** What each version says of a request with one good and one bad line, and whether the good one is stored. */
const VERSIONS = [
  { version: "v1", library: "influxdb", bad: /partial write: unable to parse 'bad'/, stored: 1 },
  {
    version: "v2",
    library: "influxdb-client",
    bad: /line protocol parse failed: line 2/,
    stored: 0,
  },
  {
    version: "v3",
    library: "influxdb3-python",
    bad: /line protocol parse failed: line 2/,
    stored: 0,
  },
] as const;

/** InfluxDB's client libraries for Python: every point is a row, errors are the ones that they know, wrong tokens are refused. */
export const influxdbClients: readonly Peer[] = VERSIONS.map((each) => ({
  name: `influxdb-python-${each.version}`,
  what: `Python's ${each.library} writes to the influxdb receiver`,
  install: async () => install(),
  run: (check: Check) => run(each, check),
}));

function install(): string | undefined {
  const home = folder("influxdb-clients");
  return once(
    home,
    "influxdb/requirements.txt",
    "requirements.txt",
    () =>
      step("python3", ["-m", "venv", "venv"], { cwd: home }) ??
      step("venv/bin/pip", ["install", "-q", "-r", "requirements.txt"], { cwd: home }),
  );
}

async function run(
  { version, bad, stored }: (typeof VERSIONS)[number],
  check: Check,
): Promise<void> {
  const stand = await Stand.start();
  try {
    const python = join(folder("influxdb-clients"), "venv", "bin", "python");
    const script = join(SOURCES, "influxdb", "write.py");
    const [host = "", port = ""] = stand.influxdb.split(":");
    const { status, stdout, stderr } = spawnSync(
      python,
      [script, version, host, port, INFLUXDB_TOKEN, "interop"],
      { encoding: "utf8", timeout: 60_000 },
    );
    check("the script ended well", status === 0, stderr.slice(-400));
    const said = JSON.parse(stdout || "{}") as { bad?: [number, string]; denied?: number };
    check("a bad line: 400 in its version's words", said.bad?.[0] === 400 && bad.test(said.bad[1]));
    check("a wrong token: 401", said.denied === 401, String(said.denied));
    await stand.drained();
    const table = `interop_${version}`;
    const rows = await stand.count(`SELECT count(*) FROM ${table} WHERE quote = 'a b'`);
    // Lines written twice have the time of their twins: they are the same rows.
    check("every line is a row", rows === (version === "v3" ? LINES : 100), String(rows));
    const [row] = await stand.rows(
      `SELECT value, text, ok FROM ${table} WHERE value = 7 AND quote = 'a b'`,
    );
    check(
      "texts and types are whole",
      row?.["text"] === 'line 7\n"x"' && row["ok"] === true,
      JSON.stringify(row),
    );
    const [point] = await stand.rows(`SELECT value, ratio FROM ${table} WHERE quote = 'c,d=e'`);
    check("a point of the library is a row", point?.["ratio"] === 0.5, JSON.stringify(point));
    const beside = await stand.count(
      `SELECT count(*) FROM ${table} WHERE value = 7 AND quote IS NULL`,
    );
    check("the line beside a bad one, as its version says", beside === stored, String(beside));
    const laws = await stand.service.law();
    check(
      "the law balances",
      laws.every(({ appended, delivered }) => appended === delivered),
      JSON.stringify(laws),
    );
    check("SIGTERM ends it with exit code 0", (await stand.service.kill("SIGTERM")) === 0);
  } finally {
    await stand.remove();
  }
}
