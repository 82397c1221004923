import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lineOf, RestlessFiles } from "../support/restless-files.ts";
import { seeded } from "../support/seeded.ts";
import { freePorts, Service } from "../support/service.ts";
import { delivered, storeRows } from "../support/store-rows.ts";

const TURN_MS = 20;
/** A rotation of one of the files, after so many turns. */
const ROTATES_EVERY = 8;
/** A writer that was kept waiting catches up, but not at once. */
const LINES_PER_TURN_MAX = 100;
/** Lines that do not come for so long will not come (ms). */
const STILL_MS = 30_000;
const SHOWN = 5;

export interface FilesRun {
  readonly files: number;
  readonly kills: number;
  readonly linesPerSecond: number;
  /** How long the service works between two kills, at least and at most. */
  readonly upMs: readonly [least: number, most: number];
  /** While the service starts: that takes long where much else runs. */
  readonly linesPerSecondDown: number;
  readonly seed: number;
}

export interface FilesTotal {
  /** Of the run: the configuration, files, queue and store. The caller removes it. */
  readonly directory: string;
  readonly kills: readonly {
    readonly kill: number;
    readonly written: number;
    readonly appended: number;
    readonly "ready after ms": number;
  }[];
  readonly seconds: number;
  readonly lines: number;
  readonly bytes: number;
  readonly fates: ReadonlyMap<string, number>;
  /** Lines that the journal was given. */
  readonly appended: number;
  readonly rows: number;
  /** Some of the lines that the store has not, or not once. */
  readonly missing: readonly string[];
  readonly twice: readonly string[];
  readonly log: string;
}

/** Files that grow, move, shrink and are packed all the time, and a service that follows them and is killed; what its store has of them. */
export async function followKilled(run: FilesRun): Promise<FilesTotal> {
  const directory = await mkdtemp(join(tmpdir(), "weir-files-"));
  const logs = join(directory, "logs");
  await mkdir(logs);
  const [health = 0, metrics = 0, store = 0] = await freePorts(3);
  const config = join(directory, "config.yaml");
  await writeFile(config, yaml(directory, { health, metrics, store }));
  const whole = seeded(run.seed);
  const random = () => whole(1 << 20) / (1 << 20);
  const files = new RestlessFiles(logs, run.files, random);
  const service = new Service(config, health, metrics);
  const writer = new Writer(files, run);
  const [leastMs, mostMs] = run.upMs;
  const kills: FilesTotal["kills"][number][] = [];
  const appended = () => service.metric("weir_route_appended_items_total");
  try {
    await service.start();
    for (let kill = 1; kill <= run.kills; kill++) {
      writer.linesPerSecond = run.linesPerSecond;
      await sleep(leastMs + random() * (mostMs - leastMs));
      const written = files.count;
      const taken = await appended();
      writer.linesPerSecond = run.linesPerSecondDown;
      await service.kill("SIGKILL");
      const readyMs = await service.start();
      kills.push({ kill, written, appended: taken, "ready after ms": readyMs });
    }
    const seconds = await writer.stop();
    let most = 0;
    for (let end = Date.now() + STILL_MS; Date.now() < end; await sleep(200)) {
      const now = await appended();
      if (now >= files.count) break;
      if (now > most) end = Date.now() + STILL_MS;
      most = Math.max(most, now);
    }
    // More than there are would come now.
    await sleep(1_000);
    await delivered(service);
    const { count: lines, bytes, fates } = files;
    const total = { directory, kills, seconds, lines, bytes, fates, log: service.log };
    return { ...total, appended: await appended(), ...(await compared(store, files)) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${why}\nwhat there was is kept in ${directory}\n${service.log}`);
  } finally {
    await writer.stop();
    await service.kill("SIGKILL");
  }
}

/** What is wrong: nothing, when each line was taken once and is one row. */
export function verdictOf({ lines, appended, rows, missing, twice }: FilesTotal): string[] {
  const problems: string[] = [];
  if (appended !== lines) problems.push(`${lines} lines were written, ${appended} taken`);
  if (rows !== lines) problems.push(`${lines} lines were written, the store has ${rows} rows`);
  problems.push(...missing.map((line) => `not in the store: ${line}`));
  return [...problems, ...twice.map((line) => `more than was written: ${line}`)];
}

/** Writes so many lines per second, by the clock, and rotates. */
class Writer {
  linesPerSecond: number;
  readonly #files: RestlessFiles;
  readonly #begunMs = performance.now();
  readonly #writing: Promise<void>;
  #endedMs: number | undefined;

  constructor(files: RestlessFiles, { linesPerSecondDown }: FilesRun) {
    this.#files = files;
    this.linesPerSecond = linesPerSecondDown;
    this.#writing = this.#run();
  }

  /** Resolves with the seconds that it wrote for. */
  async stop(): Promise<number> {
    this.#endedMs ??= performance.now();
    await this.#writing;
    return (this.#endedMs - this.#begunMs) / 1_000;
  }

  async #run(): Promise<void> {
    const files = this.#files;
    let owed = 0;
    let lastMs = this.#begunMs;
    for (let turn = 1; this.#endedMs === undefined; turn++) {
      const nowMs = performance.now();
      owed += ((nowMs - lastMs) / 1_000) * (this.linesPerSecond / files.written.length);
      lastMs = nowMs;
      const lines = Math.min(Math.floor(owed), LINES_PER_TURN_MAX);
      owed -= lines;
      if (lines > 0) files.grow(lines);
      if (turn % ROTATES_EVERY === 0) files.rotate();
      await sleep(TURN_MS);
    }
  }
}

/** What the store has of each file: as many rows as lines, and each of them another one. */
async function compared(port: number, files: RestlessFiles) {
  const found = await storeRows(
    port,
    "SELECT split_part(message, ' ', 2) AS file, count(*) AS rows, count(DISTINCT message) AS lines FROM logs GROUP BY 1",
  );
  const byFile = new Map(found.map(({ file, rows, lines }) => [String(file), { rows, lines }]));
  const missing: string[] = [];
  const twice: string[] = [];
  for (const [file, written] of files.written.entries()) {
    const has = byFile.get(String(file)) ?? { rows: 0, lines: 0 };
    byFile.delete(String(file));
    if (has.rows === written && has.lines === written) continue;
    const times = await timesOf(port, file);
    for (let line = 0; line < written; line++) {
      const text = lineOf(file, line);
      const n = times.get(text) ?? 0;
      if (n === 0 && missing.length < SHOWN) missing.push(text);
      if (n === 1) times.delete(text);
    }
    twice.push(...[...times].slice(0, SHOWN).map(([text, n]) => `${n} × ${text}`));
  }
  // Parts of lines may be of no file at all.
  twice.push(...[...byFile.keys()].map((file) => `lines of no file: ${file}`));
  return { rows: found.reduce((sum, { rows }) => sum + Number(rows), 0), missing, twice };
}

async function timesOf(port: number, file: number): Promise<Map<string, number>> {
  const rows = await storeRows(
    port,
    `SELECT message, count(*) AS n FROM logs WHERE split_part(message, ' ', 2) = '${file}' GROUP BY 1`,
  );
  return new Map(rows.map(({ message, n }) => [String(message), Number(n)]));
}

/** `force_flush_period`: a writer that has no core in the middle of a line is not one that has ended. `timeout`: nor is such a store. */
function yaml(directory: string, ports: { health: number; metrics: number; store: number }) {
  return `
receivers:
  file_log: { include: ["${directory}/logs/*.log*"], start_at: beginning, storage: file_storage, force_flush_period: 60s }
exporters:
  influxdb: { endpoint: "http://127.0.0.1:${ports.store}", database: weir, timeout: 60s, sending_queue: { storage: file_storage, batch: { flush_timeout: 50ms } } }
extensions:
  health_check: { endpoint: "127.0.0.1:${ports.health}" }
  file_storage: { directory: "${directory}/queue" }
  embedded_store: { endpoint: "127.0.0.1:${ports.store}", directory: "${directory}/store" }
service:
  extensions: [health_check, file_storage, embedded_store]
  telemetry: { metrics: { readers: [{ pull: { exporter: { prometheus: { host: 127.0.0.1, port: ${ports.metrics} } } } }] } }
  pipelines: { logs: { receivers: [file_log], exporters: [influxdb] } }
`;
}
