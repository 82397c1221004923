import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLambda } from "../test/support/fake-lambda.ts";

const ROOT = join(import.meta.dirname, "..");
const RUNS = 10;
/** Of one invocation, and how many of them: 20,000 lines in each run, 200,000 in the last. */
const LINES = 1_000;
const INVOCATIONS = 20;
const LAST_INVOCATIONS = 200;
/** Digits of the last part of a UUID. */
const ID_DIGITS = 12;
/** Lambda kills an extension that takes longer for its shutdown. */
const SHUTDOWN_MS = 2_000;

interface Run {
  /** From the start of the process until it asks for the first event. */
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly startMib: number;
  /** After the invocations, and the most that it ever was. */
  readonly laterMib: number;
  readonly mostMib: number;
  /** Processor time of one line. */
  readonly lineUs: number;
  /** From the event to the exit, with lines that wait for a fuller batch. */
  readonly shutdownMs: number;
  /** Requests to Loki between the event and the exit: one, with what waited. */
  readonly late: number;
}

/**
 * `npm run bench -- --only lambda`: the layer as Lambda starts it, against a fake Runtime API, alone on the last core: what it adds to a
 * cold start, beside what Node alone takes in the same run, its memory, and its shutdown. Gate: 150 ms, 80 MB.
 */
export async function lambdaBench(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "weir-layer-"));
  try {
    const layer = ["tools/layer.ts", "--dir", directory, "--out", join(directory, "layer.zip")];
    const said = execFileSync(process.execPath, layer, { cwd: ROOT, encoding: "utf8" });
    const runs: Run[] = [];
    const bare: Bare[] = [];
    for (let n = 1; n <= RUNS; n++) {
      bare.push(bareNode());
      runs.push(await once(directory, n === RUNS ? LAST_INVOCATIONS : INVOCATIONS));
    }
    const last = runs.pop();
    console.log(`layer: ${said.trim().split("  ").slice(1).join(" ")}`);
    row(
      "Node alone, start to exit, ms",
      bare.map(({ wallMs }) => wallMs),
    );
    row(
      "  its processor time, ms",
      bare.map(({ cpuMs }) => cpuMs),
    );
    row(
      "extension, start to first next, ms",
      runs.map(({ readyMs }) => readyMs),
    );
    row(
      "  its processor time, ms",
      runs.map(({ cpuMs }) => cpuMs),
    );
    row(
      "resident when it is ready, MiB",
      runs.map(({ startMib }) => startMib),
    );
    row(
      `resident after ${INVOCATIONS} x ${LINES} lines, MiB`,
      runs.map(({ laterMib }) => laterMib),
    );
    row(`resident after ${LAST_INVOCATIONS} x ${LINES} lines, MiB`, [last?.laterMib ?? 0]);
    row(
      "most that it ever was, MiB",
      [...runs, ...(last ? [last] : [])].map(({ mostMib }) => mostMib),
      Math.max,
    );
    row(
      "processor time per line, us",
      runs.map(({ lineUs }) => lineUs),
    );
    row(
      "shutdown with lines that waited, ms",
      runs.map(({ shutdownMs }) => shutdownMs),
    );
    const late = runs.map((run) => run.late).join(" ");
    console.log(`requests then, of ${LATE_LINES} lines each: ${late}; limit ${SHUTDOWN_MS} ms`);
    console.log(`without LOKI_IP: ${withoutLoki(directory)}`);
    console.log("gate: 150 ms, 80 MB (76.3 MiB)");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The best and the median; what is meant to be small. */
function row(
  what: string,
  values: readonly number[],
  best: (...values: number[]) => number = Math.min,
): void {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? 0;
  const show = (value: number) => (value < 50 ? value.toFixed(1) : value.toFixed(0)).padStart(6);
  console.log(`${what.padEnd(42)}${show(best(...values))}  median ${show(median)}`);
}

interface Bare {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** What a program that does nothing takes. */
function bareNode(): Bare {
  const report = `process.on("exit", () => { const { user, system } = process.cpuUsage(); console.log(user + system); });`;
  const began = performance.now();
  const [program, ...args] = onLastCore([process.execPath, "-e", report]);
  const said = execFileSync(program, args, { encoding: "utf8" });
  return { wallMs: performance.now() - began, cpuMs: Number(said) / 1_000 };
}

/** Beside what measures it: the same command line, on the last core where that can be said. */
function onLastCore(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  const cores = availableParallelism();
  const isThere = existsSync("/usr/bin/taskset") && cores > 1;
  return isThere ? ["/usr/bin/taskset", "-c", String(cores - 1), ...command] : command;
}

function withoutLoki(directory: string): string {
  const env = { ...envOf("127.0.0.1:1"), LOKI_IP: "" };
  const { status, stderr } = spawnSync(join(directory, "extensions", "weir"), {
    env,
    encoding: "utf8",
  });
  return `"${stderr.trim()}", exit ${status}`;
}

function envOf(address: string) {
  return {
    PATH: process.env["PATH"],
    WEIR_NODE: process.execPath,
    WEIR_PORT: "0",
    AWS_LAMBDA_RUNTIME_API: address,
    AWS_LAMBDA_FUNCTION_NAME: "bench",
  };
}

/** Fewer than a batch. */
const LATE_LINES = 7;

async function once(directory: string, invocations: number): Promise<Run> {
  const lambda = await FakeLambda.start();
  let pushed = 0;
  const loki = createServer((request, response) => {
    pushed++;
    request.resume();
    request.on("end", () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => loki.listen(0, "127.0.0.1", resolve));
  const [program, ...args] = onLastCore([join(directory, "extensions", "weir")]);
  const began = Date.now();
  const child = spawn(program, args, {
    stdio: "ignore",
    env: {
      ...envOf(lambda.address),
      DISPATCH_MIN_BATCH_SIZE: String(LATE_LINES + 1),
      LOKI_IP: `http://127.0.0.1:${(loki.address() as AddressInfo).port}`,
    },
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const pid = child.pid ?? 0;
  try {
    await lambda.asked(1);
    const readyMs = lambda.readyMs - began;
    const cpuMs = cpuOf(pid);
    const startMib = memoryOf(pid, "VmRSS");
    for (let n = 0; n < invocations; n++) {
      lambda.invoke(idOf(n));
      await lambda.post(batch(idOf(n), LINES));
      await lambda.asked(n + 2);
    }
    const lineUs = ((cpuOf(pid) - cpuMs) * 1_000) / (invocations * LINES);
    const laterMib = memoryOf(pid, "VmRSS");
    const mostMib = memoryOf(pid, "VmHWM");
    lambda.invoke(idOf(invocations));
    await lambda.post(batch(idOf(invocations), LATE_LINES));
    await lambda.asked(invocations + 2);
    const before = pushed;
    const end = performance.now();
    lambda.shutDown(Date.now() + SHUTDOWN_MS);
    await ended;
    const shutdownMs = performance.now() - end;
    const late = pushed - before;
    return { readyMs, cpuMs, startMib, laterMib, mostMib, lineUs, shutdownMs, late };
  } finally {
    child.kill("SIGKILL");
    await lambda.close();
    loki.closeAllConnections();
    loki.close();
  }
}

function idOf(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(ID_DIGITS, "0")}`;
}

function batch(requestId: string, count: number): object[] {
  const time = new Date().toISOString();
  const lines = Array.from({ length: count }, (_, n) => ({
    time,
    type: "function",
    record: `${time}\t${requestId}\tINFO\tresized image ${n} of the album, 1024 by 768\n`,
  }));
  const record = { requestId, status: "success", metrics: { durationMs: 5 } };
  return [
    { time, type: "platform.start", record },
    ...lines,
    { time, type: "platform.runtimeDone", record },
  ];
}

/** Processor time of all threads so far. */
function cpuOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanos = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8").split(" ")[0]),
  );
  return nanos.reduce((sum, of) => sum + of, 0) / 1_000_000;
}

function memoryOf(pid: number, name: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024;
}
