import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, Service } from "./service.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const HEALTH = 13_133;
const METRICS = 8_888;
/** Listeners and destinations on this machine, and the port of the service's own metrics. */
const PORT = /(?<=127\.0\.0\.1:|port: )\d{4,5}/g;

/** A configuration of config/ as it stands, but for free ports and a directory of its own. */
export class ShippedConfig implements AsyncDisposable {
  readonly service: Service;
  readonly #directory: string;
  readonly #ports: ReadonlyMap<number, number>;

  private constructor(directory: string, ports: ReadonlyMap<number, number>) {
    this.#directory = directory;
    this.#ports = ports;
    this.service = new Service(
      join(directory, "config.yaml"),
      this.port(HEALTH),
      this.port(METRICS),
    );
  }

  /** `file`: "config/luna.yaml". Resolves when the service is ready. */
  static async start(file: string): Promise<ShippedConfig> {
    const text = await readFile(join(ROOT, file), "utf8");
    const named = [...new Set([...text.matchAll(PORT)].map(([port]) => Number(port)))];
    const free = await freePorts(named.length);
    const ports = new Map(named.map((port, i) => [port, free[i] as number]));
    const directory = await mkdtemp(join(tmpdir(), "weir-shipped-"));
    const moved = text
      .replace(PORT, (port) => String(ports.get(Number(port))))
      .replaceAll("./data", join(directory, "data"));
    await writeFile(join(directory, "config.yaml"), moved);
    const shipped = new ShippedConfig(directory, ports);
    await shipped.service.start();
    return shipped;
  }

  /** Where that listens now which the file has on this port. */
  port(written: number): number {
    const port = this.#ports.get(written);
    if (port === undefined) throw new Error(`the configuration has no port ${written}`);
    return port;
  }

  url(written: number): string {
    return `http://127.0.0.1:${this.port(written)}`;
  }

  /** Rows of the store that the file starts, once everything that was accepted has arrived there. */
  async query(sql: string, limitMs = 10_000): Promise<Record<string, unknown>[]> {
    for (const end = Date.now() + limitMs; ; ) {
      const laws = await this.service.law();
      if (laws.every(({ queued }) => queued === 0)) break;
      if (Date.now() > end) throw new Error(`still queued: ${JSON.stringify(laws)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const answer = await fetch(`${this.url(8_181)}/api/v3/query_sql`, {
      method: "POST",
      body: JSON.stringify({ db: "weir", q: sql, format: "json" }),
    });
    if (answer.status !== 200) throw new Error(await answer.text());
    return (await answer.json()) as Record<string, unknown>[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.kill("SIGTERM");
    await rm(this.#directory, { recursive: true, force: true });
  }
}
