import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts, Service } from "./service.ts";
import { PATIENCE_MS } from "./until.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);

/** A configuration of the package, running as it stands but for its ports and directories. */
export class ShippedService implements AsyncDisposable {
  readonly service: Service;
  readonly #directory: string;
  readonly #ports: ReadonlyMap<string, number>;

  private constructor(
    directory: string,
    config: string,
    ports: ReadonlyMap<string, number>,
    metrics: string,
  ) {
    this.#directory = directory;
    this.#ports = ports;
    this.service = new Service(config, this.port(13133), this.port(Number(metrics)));
  }

  /** `file`: from the root of the package. */
  static async start(file: string): Promise<ShippedService> {
    const text = await readFile(join(ROOT, file), "utf8");
    // Comments too: what somebody may switch on must not meet a port that is taken.
    const named = new Set(
      [...text.matchAll(/(?:(?:127\.0\.0\.1|0\.0\.0\.0):|port: )(\d{4,5})\b/g)].map(
        ([, port]) => port as string,
      ),
    );
    const free = await freePorts(named.size);
    const ports = new Map([...named].map((port, i) => [port, free[i] as number] as const));
    const directory = await mkdtemp(join(tmpdir(), "weir-shipped-"));
    const config = join(directory, "config.yaml");
    const metrics = /prometheus: \{ host: [\d.]+, port: (\d+) \}/.exec(text)?.[1] ?? "0";
    const shipped = new ShippedService(directory, config, ports, metrics);
    await writeFile(config, shipped.real(text));
    await shipped.service.start();
    return shipped;
  }

  /** The port that it listens on where the file names `port`. */
  port(port: number): number {
    const real = this.#ports.get(String(port));
    if (real === undefined) throw new Error(`the configuration names no port ${port}`);
    return real;
  }

  /** A text with the ports and directories of the configuration replaced by the real ones. */
  real(text: string): string {
    const withPorts = text.replace(/\b\d{4,5}\b/g, (port) => String(this.#ports.get(port) ?? port));
    return withPorts.replaceAll("./data/", `${this.#directory}/`);
  }

  /** Runs a command of a page; resolves with what it prints. */
  async shell(command: string): Promise<string> {
    const { stdout } = await run("bash", ["-ec", this.real(command)], { timeout: 100_000 });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.kill("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A command of a page, and the texts that its answer holds. */
export interface Documented {
  readonly command: string;
  readonly holds: readonly string[];
}

/** The commands of a page that are followed by what they answer. */
export async function documentedCommands(page: string): Promise<Documented[]> {
  const text = await readFile(join(ROOT, page), "utf8");
  return [...text.matchAll(/```sh\n([^`]*)```\n\n```text\n([^`]*)```/g)].map(
    ([, command = "", answer = ""]) => ({ command, holds: answer.trim().split("\n") }),
  );
}

/** Runs it until its answer holds what it must, for at most a minute: rows take a moment. */
export async function answersAsDocumented(
  shipped: ShippedService,
  { command, holds }: Documented,
): Promise<string> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await shipped.shell(command).catch((error: unknown) => String(error));
    const missing = holds.filter((text) => !answer.includes(text));
    if (missing.length === 0) return "";
    if (Date.now() > end)
      return `${command} answers ${answer}, without ${missing.join(" and ")}\n${shipped.service.log}`;
    await sleep(200);
  }
}
