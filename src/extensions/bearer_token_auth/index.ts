import { type FromFiles, KeptUpToDate } from "../../kit/tls/file-watch.ts";
import { KnownTokens } from "../../kit/tls/known-tokens.ts";
import type {
  Authenticator,
  ClientAuth,
  Denial,
  HeaderOf,
  ServerAuth,
} from "../../pipeline/auth.ts";
import type { ExtensionContext, ExtensionFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { readTokens } from "./tokens.ts";

/** Lets requests with the right token in, and gives exporters theirs. */
export const bearerTokenAuth: ExtensionFactory<Config> = {
  kind: "extension",
  type: "bearer_token_auth",
  summary: "Lets in who sends the right token, and sends a token with what exporters send.",
  stability: {},
  schema: config,
  example: { token: "change-me" },
  authenticates: () => ({ receivers: true, exporters: true }),
  create: (options, context): Authenticator => new BearerTokenAuth(options, context),
};

class BearerTokenAuth implements Authenticator, ServerAuth, ClientAuth, FromFiles {
  readonly server = this;
  readonly client = this;
  readonly files: readonly string[];
  readonly everyMs: number;
  readonly #options: Config;
  readonly #header: string;
  readonly #prefix: string;
  readonly #kept: KeptUpToDate;
  #known = new KnownTokens([]);
  #headers: readonly string[] = [];

  constructor(options: Config, context: ExtensionContext) {
    const { filename, scheme, header } = options;
    this.#options = options;
    this.#header = header.toLowerCase();
    this.#prefix = scheme === "" ? "" : `${scheme} `;
    this.files = filename === undefined ? [] : [filename];
    this.everyMs = options.reload_interval;
    this.#kept = new KeptUpToDate(this, context);
  }

  async start(): Promise<void> {
    this.#kept.start();
  }

  async stop(): Promise<void> {
    this.#kept.stop();
  }

  read(): void {
    const { filename, token, tokens } = this.#options;
    const configured = tokens.length > 0 ? tokens : [token];
    const known =
      filename === undefined ? configured.map((one) => one.reveal()) : readTokens(filename);
    this.#known = new KnownTokens(known);
    this.#headers = [this.#header, `${this.#prefix}${known[0]}`];
  }

  check(header: HeaderOf): Denial | undefined {
    const given = header(this.#header);
    if (given === undefined)
      return this.#denial(`header ${this.#options.header} is missing: send a token in it`);
    const { length } = this.#prefix;
    // Schemes are read without regard to case (RFC 9110 §11.1).
    if (given.slice(0, length).toLowerCase() !== this.#prefix.toLowerCase())
      return this.#denial(`header ${this.#options.header} has another scheme than expected`);
    const isKnown = this.#known.has(given.slice(length).trim());
    return isKnown ? undefined : this.#denial("the token is not known here");
  }

  headers(): readonly string[] {
    return this.#headers;
  }

  #denial(why: string): Denial {
    return { why, challenge: `${this.#options.scheme || "Bearer"} realm="weir"` };
  }
}
