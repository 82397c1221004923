import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Component } from "../../pipeline/contracts.ts";
import type { Logger } from "../../pipeline/telemetry.ts";

export interface SupervisorOptions {
  /** Program and arguments; the endpoint is added. */
  readonly command: readonly string[];
  readonly endpoint: string;
  readonly token: string;
  readonly log: Logger;
  readonly onRestart: () => void;
  /** Pause between probes; tests shorten it. */
  readonly probeEveryMs?: number;
}

const START_MS = 60_000;
const PROBE_EVERY_MS = 1_000;
/** Long: on a machine with twenty jobs per core the store takes seconds for an answer and is well. */
const PROBE_TIMEOUT_MS = 4_000;
/** Unanswered probes in a row after which the process counts as hung. */
const MISSES = 3;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** A process that ran this long was well: the next pause is short again. */
const WELL_AFTER_MS = 30_000;
const STOP_MS = 5_000;

/** One run of the child process. */
interface Run {
  readonly child: ChildProcess;
  /** Resolves with the address when it listens; rejects when it ends before that. */
  readonly listening: Promise<string>;
  readonly exited: Promise<string>;
  readonly startedMs: number;
}

/** Keeps the store running: a child process, probed every second, killed when it hangs, started again when it ends. */
export class StoreSupervisor implements Component {
  readonly #options: SupervisorOptions;
  #endpoint: string;
  #run: Run | undefined;
  #stopping = false;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#endpoint = options.endpoint;
  }

  /** Process id of the store that runs now: for people and tests. */
  get pid(): number | undefined {
    return this.#run?.child.pid;
  }

  /** Where the store listens; known after the start. */
  get address(): string {
    return this.#endpoint;
  }

  async start(): Promise<void> {
    const run = this.#launch();
    // Port 0 is chosen once: exporters know the address.
    this.#endpoint = await run.listening;
    this.#options.log.info(
      { endpoint: this.#endpoint, pid: run.child.pid },
      "the embedded store is ready",
    );
    this.#watch(run);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const run = this.#run;
    if (run === undefined) return;
    const kill = () => run.child.kill("SIGKILL");
    const late = setTimeout(kill, STOP_MS);
    deadline.addEventListener("abort", kill);
    if (deadline.aborted) kill();
    else run.child.kill("SIGTERM");
    await run.exited;
    clearTimeout(late);
    deadline.removeEventListener("abort", kill);
    this.#run = undefined;
  }

  #launch(): Run {
    const { command, token, log } = this.#options;
    const [program = "", ...rest] = command;
    const child = spawn(program, [...rest, "--endpoint", this.#endpoint], {
      stdio: ["pipe", "pipe", "pipe"],
      // Nothing of ours is handed on: no secret but its own token.
      env: { TZ: "UTC", WEIR_STORE_TOKEN: token },
    });
    // A pipe to a process that has just died.
    child.stdin.on("error", () => {});
    let lastWords = "";
    eachLine(child.stderr, (line) => {
      lastWords = line || lastWords;
      const level = line.startsWith("weir store: ERROR") ? "error" : "warn";
      log[level]({ line }, "the embedded store says");
    });
    const exited = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) =>
        resolve(`${signal ?? `exit code ${code}`}${lastWords === "" ? "" : `: ${lastWords}`}`),
      );
    });
    const listening = new Promise<string>((resolve, reject) => {
      const late = setTimeout(() => child.kill("SIGKILL"), START_MS);
      eachLine(child.stdout, (line) => {
        const address = /^listening on (\S+)$/.exec(line)?.[1];
        if (address !== undefined) resolve(address);
        clearTimeout(late);
      });
      void exited.then((how) => {
        clearTimeout(late);
        reject(new Error(`the embedded store did not start (${how})`));
      });
    });
    // Whoever waits for it hears of it; a restart that fails is told by `exited`.
    listening.catch(() => {});
    const run = { child, listening, exited, startedMs: performance.now() };
    this.#run = run;
    return run;
  }

  /** Probes a process that listens and starts the next one when it has ended. */
  #watch(run: Run): void {
    let isOver = false;
    let misses = 0;
    const probe = async () => {
      misses = (await isWell(this.#endpoint)) ? 0 : misses + 1;
      if (isOver || this.#stopping) return;
      if (misses >= MISSES) {
        this.#options.log.warn(
          { pid: run.child.pid, misses },
          "the embedded store does not answer: killing it, queued data is sent again",
        );
        run.child.kill("SIGKILL");
        return;
      }
      schedule();
    };
    const schedule = () => {
      this.#timer = setTimeout(() => void probe(), this.#options.probeEveryMs ?? PROBE_EVERY_MS);
    };
    run.listening.then(schedule, () => {});
    void run.exited.then((how) => {
      isOver = true;
      clearTimeout(this.#timer);
      if (!this.#stopping) this.#restart(run, how);
    });
  }

  #restart(ended: Run, how: string): void {
    if (performance.now() - ended.startedMs > WELL_AFTER_MS) this.#pauseMs = FIRST_PAUSE_MS;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    this.#run = undefined;
    this.#options.log.warn({ how, pauseMs }, "the embedded store ended: starting it again");
    this.#timer = setTimeout(() => {
      this.#options.onRestart();
      this.#watch(this.#launch());
    }, pauseMs);
  }
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream }).on("line", take);
}

async function isWell(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${reachable(endpoint)}/health`, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** An address to connect to, for one to listen on. */
function reachable(endpoint: string): string {
  return endpoint.replace(/^(?:0\.0\.0\.0)?(?=:)/, "127.0.0.1").replace(/^\[::\]/, "[::1]");
}
