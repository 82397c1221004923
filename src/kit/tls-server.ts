import type { Server, TlsOptions } from "node:tls";
import { FileWatch } from "./file-watch.ts";
import {
  type ServerTlsOptions,
  serverTlsFiles,
  serverTlsOptions,
  type TlsServer,
} from "./tls-options.ts";

/** How long a client may take to agree on a connection. */
const HANDSHAKE_MS = 10_000;

/** Whom to tell what became of changed files. */
export interface TlsNews {
  reloaded(): void;
  /** The files cannot be used: the old ones stay. */
  failed(error: Error): void;
}

/** The certificates of one listener, kept up to date. New ones hold for new connections; none is dropped for them. */
export class ServerTls {
  readonly #settings: TlsServer;
  readonly #news: TlsNews;
  readonly #watch: FileWatch;
  #server: Server | undefined;

  /** Reads no file yet. */
  constructor(settings: TlsServer, news: TlsNews) {
    this.#settings = settings;
    this.#news = news;
    this.#watch = new FileWatch(serverTlsFiles(settings), settings.reload_interval, () =>
      this.#reload(),
    );
  }

  /** What a server is created with. Throws when the files cannot be used. */
  options(): TlsOptions {
    return { ...this.#read(), handshakeTimeout: HANDSHAKE_MS };
  }

  /** From now on `server` gets new certificates when the files change. */
  follow(server: Server): void {
    this.#server = server;
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #read(): ServerTlsOptions {
    return serverTlsOptions(this.#settings);
  }

  #reload(): void {
    try {
      this.#server?.setSecureContext(this.#read());
      this.#news.reloaded();
    } catch (reason) {
      this.#news.failed(reason instanceof Error ? reason : new Error(String(reason)));
    }
  }
}
