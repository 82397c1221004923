import { KnownTokens } from "../../kit/tls/known-tokens.ts";
import type { HeaderOf, ServerAuth } from "../../pipeline/auth.ts";
import type { Config } from "./config.ts";
import { Fault } from "./fault.ts";

const MALFORMED =
  "Authorization header was malformed and should be in the form 'Authorization: <auth-scheme> <token>', with the scheme Bearer, Token or Basic";

/** Who may write and query: by `tokens`, by the extension that `auth` names, or everybody. */
export class Access {
  readonly #tokens: KnownTokens | undefined;
  readonly #auth: ServerAuth | undefined;

  constructor({ tokens }: Config, auth: ServerAuth | undefined) {
    this.#tokens = tokens && new KnownTokens(tokens.map((token) => token.reveal()));
    this.#auth = auth;
  }

  /** Why not; undefined = come in. InfluxDB 1 has `u` and `p` in `query` too. */
  check(header: HeaderOf, query?: URLSearchParams): Fault | undefined | Promise<Fault | undefined> {
    const tokens = this.#tokens;
    if (tokens !== undefined)
      return checkToken(tokens, header("authorization"), query?.get("p") ?? null);
    const denial = this.#auth?.check((name) => header(name) ?? loginOf(name, query));
    if (denial instanceof Promise) return denial.then((denied) => denied && asFault(denied));
    return denial && asFault(denial);
  }
}

function asFault({ why }: { readonly why: string }): Fault {
  return new Fault("unauthorized", why);
}

function checkToken(
  tokens: KnownTokens,
  header: string | undefined,
  password: string | null,
): Fault | undefined {
  const given = header === undefined ? password : tokenOf(header);
  if (given === undefined) return new Fault("malformed_auth", MALFORMED);
  if (given !== null && tokens.has(given)) return undefined;
  return new Fault("unauthorized", "the request was not authenticated");
}

/** The token of an Authorization header: with Basic, the password. */
function tokenOf(header: string): string | undefined {
  const [, scheme = "", text = ""] = /^([A-Za-z]+) +(\S+)\s*$/.exec(header) ?? [];
  if (/^(?:token|bearer)$/i.test(scheme)) return text;
  if (!/^basic$/i.test(scheme)) return undefined;
  const pair = Buffer.from(text, "base64").toString();
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : pair.slice(colon + 1);
}

/** `u` and `p` of InfluxDB 1, as the header that authenticators read. */
function loginOf(name: string, query: URLSearchParams | undefined): string | undefined {
  const password = query?.get("p") ?? "";
  if (name !== "authorization" || password === "") return undefined;
  const pair = `${query?.get("u") ?? ""}:${password}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}
