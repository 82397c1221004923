import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { databaseNameFault } from "../lib/database-name.ts";
import { parseDuration } from "../lib/duration.ts";
import { loadTables, shippedTables } from "../series/tables/load.ts";
import { type DeclaredTable, declaredTables } from "../store/declared.ts";
import { StoreInUse, textOf } from "../store/duck.ts";
import { Store, type StoreOptions } from "../store/store.ts";

const USAGE = `weir store [--endpoint 127.0.0.1:8181] [--directory ./data/store]

  --endpoint <host:port>        where it listens (port 0: any free one)
  --directory <path>            where the data lives; one process at a time
  --database <name>             a database that is there from the start; may be repeated (default weir)
  --tables <file.yaml>          tables of your own, declared beside the shipped ones; may be repeated
  --create-directory <bool>     make the directory when it is missing (default true)
  --memory-limit <size>         memory of the database, e.g. 512MiB (default 512MiB)
  --query-timeout <duration>    longest query (default 10s)
  --max-request-bytes <n>       largest write (default 10485760)
  --exit-with-parent            end when stdin ends, ignore SIGINT: for the embedded_store extension

The token that requests must carry is read from WEIR_STORE_TOKEN (empty: none).`;

/** How long the store of a service that was killed may take to end, and how often that is looked at. */
const PREDECESSOR_MS = 30_000;
const PREDECESSOR_LOOK_MS = 100;
/** The query that does not end: as EX_SOFTWARE in sysexits.h. */
const EXIT_STUCK = 70;

type Settings = Omit<StoreOptions, "log" | "giveUp" | "version"> & { isChild: boolean };

/** `weir store`: runs the embedded store until SIGTERM or SIGINT. Returns the exit code. */
export async function runStore(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const log = (text: string) => process.stderr.write(`weir store: ${text}\n`);
  let settings: Settings;
  try {
    settings = readSettings(args);
  } catch (error) {
    log(`${textOf(error)}\n\n${USAGE}`);
    return 2;
  }
  // The database reads the zone once, when it is loaded: all times are UTC.
  Object.assign(process.env, { TZ: "UTC" });
  try {
    const store = await startStore(settings, log);
    process.stdout.write(`listening on ${store.address}\n`);
    await untilStopped(settings.isChild);
    // An open pipe would keep the process.
    process.stdin.destroy();
    await store.stop();
    return 0;
  } catch (error) {
    log(textOf(error));
    return 1;
  }
}

/** The store of a service that was killed ends with it, but only when it has written what it was given: its successor waits. */
async function startStore(settings: Settings, log: (text: string) => void): Promise<Store> {
  const options = { ...settings, version: readVersion(), log, giveUp: giveUp(log) };
  const endsAtMs = performance.now() + (settings.isChild ? PREDECESSOR_MS : 0);
  for (;;)
    try {
      return await Store.start(options);
    } catch (error) {
      if (!(error instanceof StoreInUse) || performance.now() > endsAtMs) throw error;
      await sleep(PREDECESSOR_LOOK_MS);
    }
}

function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      endpoint: { type: "string", default: "127.0.0.1:8181" },
      directory: { type: "string", default: "./data/store" },
      database: { type: "string", multiple: true, default: ["weir"] },
      tables: { type: "string", multiple: true, default: [] },
      "create-directory": { type: "string", default: "true" },
      "memory-limit": { type: "string", default: "512MiB" },
      "query-timeout": { type: "string", default: "10s" },
      "max-request-bytes": { type: "string", default: String(10 << 20) },
      "exit-with-parent": { type: "boolean", default: false },
    },
  });
  const { host, port } = readEndpoint(values.endpoint);
  const queryTimeoutMs = parseDuration(values["query-timeout"]);
  if (queryTimeoutMs === undefined || queryTimeoutMs <= 0)
    throw new Error(
      `--query-timeout: expected a duration such as 10s, got ${values["query-timeout"]}`,
    );
  if (!/^\d{1,9}\s*[KMGT]i?B$/i.test(values["memory-limit"]))
    throw new Error(
      `--memory-limit: expected a size such as 512MiB, got ${values["memory-limit"]}`,
    );
  for (const name of values.database) {
    const fault = databaseNameFault(name);
    if (fault !== undefined) throw new Error(`--database "${name}": ${fault}`);
  }
  const maxRequestBytes = Number(values["max-request-bytes"]);
  if (!Number.isSafeInteger(maxRequestBytes) || maxRequestBytes < 1)
    throw new Error(`--max-request-bytes: expected a number, got ${values["max-request-bytes"]}`);
  const { WEIR_STORE_TOKEN: token = "" } = process.env;
  return {
    host,
    port,
    directory: values.directory,
    databases: values.database,
    tables: readTables(values.tables),
    createDirectory: values["create-directory"] !== "false",
    memoryLimit: values["memory-limit"],
    queryTimeoutMs,
    maxRequestBytes,
    token,
    isChild: values["exit-with-parent"],
  };
}

/** The shipped tables and those of files. */
function readTables(files: readonly string[]): DeclaredTable[] {
  const shipped = shippedTables();
  const own = files.map((name) => ({ name, text: readFileSync(name, "utf8") }));
  return declaredTables([...shipped, ...loadTables(own, shipped)]);
}

function readEndpoint(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new Error(`--endpoint: expected host:port, for example 127.0.0.1:8181, got ${text}`);
  return { host: match[1] ?? match[2] ?? "", port };
}

/** A child of the service ends with it: its stdin is a pipe that closes when the parent dies, however it dies. */
function untilStopped(isChild: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    if (!isChild) {
      process.once("SIGINT", () => resolve());
      return;
    }
    // Ctrl-C in a terminal reaches both; the service still delivers to us while it drains.
    process.on("SIGINT", () => {});
    process.stdin.on("end", () => resolve()).on("error", () => resolve());
    process.stdin.resume();
  });
}

/**
 * Ends the process although a database thread is busy. `process.exit` waits for that thread (29 s in a trial with repeat('x', 4e9)),
 * replacing the program does not; where that is not possible, a signal.
 */
function giveUp(log: (text: string) => void): () => void {
  return () => {
    log(
      "a query cannot be stopped: ending the process, writes that were not answered will come again",
    );
    try {
      process.execve?.("/bin/sh", ["sh", "-c", `exit ${EXIT_STUCK}`], {});
    } finally {
      process.kill(process.pid, "SIGKILL");
    }
  };
}

function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
