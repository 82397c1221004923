import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLambda } from "../test/support/fake-lambda.ts";

const ROOT = join(import.meta.dirname, "..");
const RUNS = 5;
/** Of one invocation, and how many of them are measured warm. */
const LINES = 1_000;
const INVOCATIONS = 20;
/** Of /proc/<pid>/stat: hundredths of a second, for both. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const TICK_MS = 10;

interface Run {
  /** From the start of the process until it asks for the first event. */
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly startMib: number;
  /** After the invocations. */
  readonly laterMib: number;
  /** Processor time of one line. */
  readonly lineUs: number;
}

/**
 * `npm run bench -- --only lambda`: the layer as Lambda starts it, against a fake Runtime API: what it adds to a cold start, beside what Node alone
 * takes in the same run, and its memory. Gate: 150 ms, 80 MB.
 */
export async function lambdaBench(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "weir-layer-"));
  try {
    const said = execFileSync(process.execPath, ["tools/layer.ts", "--dir", directory], {
      cwd: ROOT,
      encoding: "utf8",
    });
    const runs: Run[] = [];
    const bare: number[] = [];
    for (let n = 0; n < RUNS; n++) {
      bare.push(bareMs());
      runs.push(await once(directory));
    }
    const best = (of: (run: Run) => number) => Math.min(...runs.map(of));
    const whole = (value: number) => value.toFixed(0);
    console.log(said.trim());
    console.log(`Node alone, start to exit      ${whole(Math.min(...bare))} ms`);
    console.log(`extension, start to first next ${whole(best((run) => run.readyMs))} ms`);
    console.log(`  its processor time           ${whole(best((run) => run.cpuMs))} ms`);
    console.log(`resident, when it is ready     ${whole(best((run) => run.startMib))} MiB`);
    console.log(
      `resident, after ${INVOCATIONS} × ${LINES} lines  ${whole(best((run) => run.laterMib))} MiB`,
    );
    console.log(`processor time per line        ${best((run) => run.lineUs).toFixed(1)} µs`);
    console.log(`(best of ${RUNS}; gate: 150 ms, 80 MB)`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What an extension that does nothing would take: the process, and its http module. */
function bareMs(): number {
  const began = performance.now();
  execFileSync(process.execPath, ["--input-type=module", "-e", 'import "node:http";']);
  return performance.now() - began;
}

async function once(directory: string): Promise<Run> {
  const lambda = await FakeLambda.start();
  const loki = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => loki.listen(0, "127.0.0.1", resolve));
  const began = Date.now();
  const child = spawn(join(directory, "extensions", "weir"), {
    stdio: "ignore",
    env: {
      PATH: process.env["PATH"],
      WEIR_NODE: process.execPath,
      WEIR_PORT: "0",
      AWS_LAMBDA_RUNTIME_API: lambda.address,
      AWS_LAMBDA_FUNCTION_NAME: "bench",
      LOKI_IP: `http://127.0.0.1:${(loki.address() as AddressInfo).port}`,
    },
  });
  const pid = child.pid ?? 0;
  try {
    await lambda.asked(1);
    const readyMs = lambda.readyMs - began;
    const cpuMs = cpuOf(pid);
    const startMib = residentOf(pid);
    for (let n = 0; n < INVOCATIONS; n++) {
      const requestId = `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
      lambda.invoke(requestId);
      await lambda.post(batch(requestId));
      await lambda.asked(n + 2);
    }
    const lineUs = ((cpuOf(pid) - cpuMs) * 1_000) / (INVOCATIONS * LINES);
    return { readyMs, cpuMs, startMib, laterMib: residentOf(pid), lineUs };
  } finally {
    child.kill("SIGKILL");
    await lambda.close();
    loki.closeAllConnections();
    loki.close();
  }
}

function batch(requestId: string): object[] {
  const time = new Date().toISOString();
  const lines = Array.from({ length: LINES }, (_, n) => ({
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

function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) * TICK_MS;
}

function residentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
