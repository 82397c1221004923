import type { Context } from "../../pipeline/factory.ts";
import { type FromFiles, KeptUpToDate } from "./file-watch.ts";
import {
  type ClientTlsOptions,
  clientTlsFiles,
  clientTlsOptions,
  type TlsClient,
} from "./tls-options.ts";

/** The TLS options of one client, kept up to date. New files hold for new connections. */
export class ClientTls implements FromFiles {
  readonly files: readonly string[];
  readonly everyMs: number;
  readonly #settings: TlsClient;
  readonly #kept: KeptUpToDate;
  #options: ClientTlsOptions;

  /** Reads the files; throws when they cannot be used. */
  constructor(settings: TlsClient, context: Pick<Context, "id" | "log">) {
    this.#settings = settings;
    this.files = clientTlsFiles(settings);
    this.everyMs = settings.reload_interval;
    this.#options = clientTlsOptions(settings);
    this.#kept = new KeptUpToDate(this, context);
    this.#kept.start();
  }

  /** Another object after each change. */
  get options(): ClientTlsOptions {
    return this.#options;
  }

  read(): void {
    this.#options = clientTlsOptions(this.#settings);
  }

  stop(): void {
    this.#kept.stop();
  }
}
