import type { Server, TlsOptions } from "node:tls";
import type { Context } from "../../pipeline/factory.ts";
import { type FromFiles, KeptUpToDate } from "./file-watch.ts";
import { serverTlsFiles, serverTlsOptions, type TlsServer } from "./tls-options.ts";

/** How long a client may take to agree on a connection. */
const HANDSHAKE_MS = 10_000;

/** The certificates of one listener, kept up to date. New ones hold for new connections; none is dropped for them. */
export class ServerTls implements FromFiles {
  readonly files: readonly string[];
  readonly everyMs: number;
  readonly #settings: TlsServer;
  readonly #kept: KeptUpToDate;
  #server: Server | undefined;

  constructor(settings: TlsServer, context: Pick<Context, "id" | "log">) {
    this.#settings = settings;
    this.files = serverTlsFiles(settings);
    this.everyMs = settings.reload_interval;
    this.#kept = new KeptUpToDate(this, context);
  }

  /** What a server is created with. Throws when the files cannot be used. */
  options(): TlsOptions {
    return { ...serverTlsOptions(this.#settings), handshakeTimeout: HANDSHAKE_MS };
  }

  /** From now on `server` gets new certificates when the files change. */
  follow(server: Server): void {
    this.#server = server;
    this.#kept.start();
  }

  read(): void {
    this.#server?.setSecureContext(serverTlsOptions(this.#settings));
  }

  stop(): void {
    this.#kept.stop();
  }
}
