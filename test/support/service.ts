import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { createServer, type ListenOptions, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS } from "./until.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** The real service as a child process. */
export class Service {
  readonly #config: string;
  readonly #healthPort: number;
  readonly #metricsPort: number;
  #child: ChildProcess | undefined;
  /** What the service wrote to stderr, newest last, bounded. */
  log = "";

  readonly #prefix: readonly string[];

  /** `prefix` goes before the command, for example taskset. */
  constructor(
    config: string,
    healthPort: number,
    metricsPort: number,
    prefix: readonly string[] = [],
  ) {
    this.#prefix = prefix;
    this.#config = config;
    this.#healthPort = healthPort;
    this.#metricsPort = metricsPort;
  }

  /** Starts it and waits until health says ready; returns the milliseconds that took. */
  async start(): Promise<number> {
    const begun = Date.now();
    const [command = "", ...args] = [
      ...this.#prefix,
      process.execPath,
      "src/main.ts",
      "--config",
      this.#config,
    ];
    const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    child.stderr?.on("data", (text) => {
      this.log = (this.log + String(text)).slice(-20_000);
    });
    while (Date.now() - begun < PATIENCE_MS) {
      if (child.exitCode !== null)
        throw new Error(`the service ended with ${child.exitCode}:\n${this.log}`);
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/`).catch(() => undefined);
      if (answer?.status === 200) return Date.now() - begun;
      await sleep(50);
    }
    throw new Error(`the service was not ready within a minute:\n${this.log}`);
  }

  /** Nobody reads the log from now on. */
  closeLog(): void {
    this.#child?.stderr?.destroy();
  }

  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.isAlive) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) =>
      child.once("exit", (code) => resolve(code)),
    );
    child.kill(signal);
    return ended;
  }

  get isAlive(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    );
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** /metrics as text. */
  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
  }

  /** Sum of all series of one metric. */
  async metric(name: string): Promise<number> {
    let sum = 0;
    for (const [, value] of (await this.metrics()).matchAll(
      new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"),
    ))
      sum += Number(value);
    return sum;
  }

  /** Terms of the law per exporter, from /metrics. */
  async law(): Promise<readonly Law[]> {
    const text = await this.metrics();
    const laws = new Map<string, Law>();
    for (const [, term, labels, value] of text.matchAll(
      /^weir_route_(\w+?)_items(?:_total)?\{([^}]*)\} (\d+)$/gm,
    )) {
      const exporter = /exporter="([^"]*)"/.exec(labels ?? "")?.[1] ?? "";
      const law = laws.get(exporter) ?? {
        exporter,
        appended: 0,
        delivered: 0,
        unconfirmed: 0,
        dropped: 0,
        dead_lettered: 0,
        queued: 0,
      };
      laws.set(exporter, { ...law, [term as string]: law[term as Term] + Number(value) });
    }
    return [...laws.values()];
  }

  /** Dropped items by reason, per exporter. */
  async dropped(): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const found = new Map<string, Map<string, number>>();
    for (const [, labels = "", value] of (await this.metrics()).matchAll(
      /^weir_route_dropped_items_total\{([^}]*)\} (\d+)$/gm,
    )) {
      const [, exporter = ""] = /exporter="([^"]*)"/.exec(labels) ?? [];
      const [, reason = ""] = /reason="([^"]*)"/.exec(labels) ?? [];
      if (Number(value) === 0) continue;
      found.set(exporter, (found.get(exporter) ?? new Map()).set(reason, Number(value)));
    }
    return found;
  }
}

type Term = "appended" | "delivered" | "unconfirmed" | "dropped" | "dead_lettered" | "queued";
export type Law = { readonly exporter: string } & Readonly<Record<Term, number>>;

export function isBalanced(law: Law): boolean {
  return (
    law.appended === law.delivered + law.unconfirmed + law.dropped + law.dead_lettered + law.queued
  );
}

/** Below the ports that the kernel gives to whoever asks for any: none of these is taken by chance while a service is started again. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;

/** Ports that nobody listens on, and that no other test of this machine is given before this process has ended. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  const first = Math.floor(Math.random() * PORTS);
  for (let i = 0; ports.length < count; i++) {
    if (i === PORTS) throw new Error(`no ${count} ports are free from ${FIRST_PORT} on`);
    const port = FIRST_PORT + ((first + i) % PORTS);
    if ((await isFree(port)) && (await reserve(port))) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = await listening({ port, host: "127.0.0.1" });
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.on("error", () => resolve(false));
    socket.bind(port, "127.0.0.1", () => socket.close(() => resolve(true)));
  });
}

/** By a socket that has a name and no file, which Linux alone has: it goes with its process, however that ends. */
async function reserve(port: number): Promise<boolean> {
  if (process.platform !== "linux") return true;
  const server = await listening({ path: `\0weir-test-port-${port}` });
  server?.unref();
  return server !== undefined;
}

function listening(where: ListenOptions): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.on("error", () => resolve(undefined));
    server.listen(where, () => resolve(server));
  });
}
