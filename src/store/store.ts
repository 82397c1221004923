import { CellText } from "./cells.ts";
import type { DeclaredTable } from "./declared.ts";
import { Deletions } from "./delete.ts";
import type { Duck } from "./duck.ts";
import { MemoryTurns } from "./memory-turns.ts";
import { openStore } from "./open.ts";
import { QueryDesk } from "./query.ts";
import { StoreServer } from "./server.ts";
import { StoreWriter } from "./writer.ts";

export interface StoreOptions {
  readonly host: string;
  readonly port: number;
  readonly directory: string;
  readonly createDirectory: boolean;
  readonly memoryLimit: string;
  readonly tables: readonly DeclaredTable[];
  readonly databases: readonly string[];
  readonly queryTimeoutMs: number;
  readonly maxRequestBytes: number;
  readonly token: string;
  readonly version: string;
  readonly log: (text: string) => void;
  /** Ends the process at once: a query does not let itself be stopped. */
  readonly giveUp: () => void;
}

/** Half of Node's thread pool: the writer needs the other half. */
const QUERIES_AT_ONCE = 2;
const INTERRUPT_GRACE_MS = 1_000;
const STOP_GRACE_MS = 2_000;

/** The embedded store: one database file, one port. */
export class Store {
  readonly #duck: Duck;
  readonly #writer: StoreWriter;
  readonly #server: StoreServer;
  /** Where it listens, as host:port. */
  readonly address: string;

  private constructor(duck: Duck, writer: StoreWriter, server: StoreServer, address: string) {
    this.#duck = duck;
    this.#writer = writer;
    this.#server = server;
    this.address = address;
  }

  /** Opens the file, then the port. Rejects with a StoreError that says what to do. */
  static async start(options: StoreOptions): Promise<Store> {
    const { duck, catalog, ranges } = await openStore({ ...options, nowMs: Date.now });
    try {
      const turns = new MemoryTurns();
      const writer = new StoreWriter(duck, catalog, ranges, turns);
      const limits = {
        timeoutMs: options.queryTimeoutMs,
        graceMs: INTERRUPT_GRACE_MS,
        concurrency: QUERIES_AT_ONCE,
      };
      const queries = {
        desk: new QueryDesk(duck, catalog, limits, turns, options.giveUp),
        deletions: new Deletions(duck, catalog, writer, limits, options.giveUp),
        cells: new CellText(duck.engine),
      };
      const server = new StoreServer({ ...options, writer, queries });
      return new Store(duck, writer, server, await server.start());
    } catch (error) {
      duck.writer.closeSync();
      duck.instance.closeSync();
      throw error;
    }
  }

  /** Answers what is in flight, writes the log of the file into the file, closes it. */
  async stop(): Promise<void> {
    await this.#server.stop(STOP_GRACE_MS);
    await this.#writer.idle();
    await this.#duck.writer.run("CHECKPOINT").catch(() => {});
    this.#duck.writer.closeSync();
    this.#duck.instance.closeSync();
  }
}
