import { type FromFiles, KeptUpToDate, readText } from "../../kit/tls/file-watch.ts";
import type {
  Authenticator,
  ClientAuth,
  Denial,
  HeaderOf,
  ServerAuth,
} from "../../pipeline/auth.ts";
import type { ExtensionContext, ExtensionFactory } from "../../pipeline/factory.ts";
import { type Config, config } from "./config.ts";
import { Users } from "./users.ts";

/** Lets users in by name and password, and gives exporters theirs. */
export const basicAuth: ExtensionFactory<Config> = {
  kind: "extension",
  type: "basic_auth",
  summary:
    "Lets in who sends the right user name and password, and sends them with what exporters send.",
  stability: {},
  schema: config,
  example: { client_auth: { username: "weir", password: "change-me" } },
  authenticates: ({ htpasswd, client_auth }) => ({
    receivers: htpasswd !== undefined,
    exporters: client_auth !== undefined,
  }),
  create: (options, context): Authenticator => new BasicAuth(options, context),
};

const CHALLENGE = 'Basic realm="weir", charset="UTF-8"';

class BasicAuth implements Authenticator {
  readonly server?: ServerAuth;
  readonly client?: ClientAuth;
  readonly #parts: readonly KeptUpToDate[];

  constructor({ htpasswd, client_auth: login }: Config, context: ExtensionContext) {
    const server = htpasswd && new BasicServer(htpasswd);
    const client = login && new BasicClient(login);
    if (server !== undefined) this.server = server;
    if (client !== undefined) this.client = client;
    this.#parts = [server, client].flatMap((part) =>
      part === undefined ? [] : [new KeptUpToDate(part, context)],
    );
  }

  async start(): Promise<void> {
    for (const part of this.#parts) part.start();
  }

  async stop(): Promise<void> {
    for (const part of this.#parts) part.stop();
  }
}

class BasicServer implements ServerAuth, FromFiles {
  readonly files: readonly string[];
  readonly everyMs: number;
  readonly #users = new Users();
  readonly #options: NonNullable<Config["htpasswd"]>;

  constructor(options: NonNullable<Config["htpasswd"]>) {
    this.#options = options;
    this.files = options.file === undefined ? [] : [options.file];
    this.everyMs = options.reload_interval;
  }

  read(): void {
    const { file, inline } = this.#options;
    this.#users.use(file === undefined ? "" : readText(file), inline.reveal());
  }

  check(header: HeaderOf): Denial | undefined | Promise<Denial | undefined> {
    const given = header("authorization");
    if (given === undefined)
      return denial("header Authorization is missing: send a user name and a password in it");
    const encoded = /^basic +([A-Za-z0-9+/_=-]+) *$/i.exec(given)?.[1];
    if (encoded === undefined) return denial("header Authorization is not Basic");
    const pair = Buffer.from(encoded, "base64").toString("utf8");
    const colon = pair.indexOf(":");
    if (colon < 0) return denial("header Authorization holds no user name and password");
    const answer = this.#users.matches(pair.slice(0, colon), pair.slice(colon + 1));
    return answer instanceof Promise ? answer.then(verdict) : verdict(answer);
  }
}

function verdict(matches: boolean | "busy"): Denial | undefined {
  if (matches === "busy") return denial("too many logins are being checked: try again in a moment");
  return matches ? undefined : denial("user name or password is wrong");
}

function denial(why: string): Denial {
  return { why, challenge: CHALLENGE };
}

class BasicClient implements ClientAuth, FromFiles {
  readonly files: readonly string[];
  readonly everyMs: number;
  readonly #options: NonNullable<Config["client_auth"]>;
  #headers: readonly string[] = [];

  constructor(options: NonNullable<Config["client_auth"]>) {
    this.#options = options;
    const { username_file, password_file } = options;
    this.files = [username_file, password_file].filter((path) => path !== undefined);
    this.everyMs = options.reload_interval;
  }

  read(): void {
    const { username, username_file, password, password_file } = this.#options;
    const name = username_file === undefined ? username : readText(username_file).trim();
    const word = password_file === undefined ? password.reveal() : readText(password_file).trim();
    const pair = Buffer.from(`${name}:${word}`).toString("base64");
    this.#headers = ["authorization", `Basic ${pair}`];
  }

  headers(): readonly string[] {
    return this.#headers;
  }
}
