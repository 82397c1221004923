import { parseArgs } from "node:util";
import { parseCsv, tableText } from "./table-text.ts";

const USAGE = `weir query "SELECT …" [--db weir] [--endpoint http://127.0.0.1:8181] [--format table|json|jsonl|csv]

A token is read from WEIR_STORE_TOKEN, else from INFLUXDB_TOKEN (empty: none is sent).`;

const FORMATS = ["table", "json", "jsonl", "csv"] as const;
const TIMEOUT_MS = 60_000;

interface Question {
  readonly sql: string;
  readonly db: string;
  readonly endpoint: string;
  readonly format: (typeof FORMATS)[number];
}

/** `weir query`: asks the embedded store, or any InfluxDB 3, and prints the rows. Returns the exit code. */
export async function runQuery(args: readonly string[]): Promise<number> {
  const say = (text: string) => process.stderr.write(`weir query: ${text}\n`);
  if (args.includes("--help")) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  let question: Question;
  try {
    question = readQuestion(args);
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  try {
    const response = await ask(question);
    const text = await response.text();
    if (!response.ok) {
      say(explain(response.status, text));
      return 1;
    }
    process.stdout.write(question.format === "table" ? tableText(parseCsv(text)) : endLine(text));
    return 0;
  } catch (error) {
    say(unreachable(question.endpoint, error));
    return 1;
  }
}

function readQuestion(args: readonly string[]): Question {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: true,
    options: {
      db: { type: "string", default: "weir" },
      endpoint: { type: "string", default: "http://127.0.0.1:8181" },
      format: { type: "string", default: "table" },
    },
  });
  const [sql] = positionals;
  if (sql === undefined || positionals.length > 1) throw new Error("expected one query, in quotes");
  const format = FORMATS.find((known) => known === values.format);
  if (format === undefined)
    throw new Error(`--format: expected ${FORMATS.join(", ")}, got ${values.format}`);
  const endpoint = /^https?:\/\//.test(values.endpoint)
    ? values.endpoint
    : `http://${values.endpoint}`;
  if (!URL.canParse(endpoint))
    throw new Error(`--endpoint: expected a URL such as http://127.0.0.1:8181, got ${endpoint}`);
  return { sql, db: values.db, endpoint: endpoint.replace(/\/$/, ""), format };
}

function ask({ sql, db, endpoint, format }: Question): Promise<Response> {
  const { WEIR_STORE_TOKEN = "", INFLUXDB_TOKEN = "" } = process.env;
  const token = WEIR_STORE_TOKEN || INFLUXDB_TOKEN;
  return fetch(`${endpoint}/api/v3/query_sql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ db, q: sql, format: format === "table" ? "csv" : format }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}

function explain(status: number, text: string): string {
  const message = /^\{"error":"((?:[^"\\]|\\.)*)"\}$/.exec(text)?.[1] ?? text;
  if (status === 401) return "the server asks for a token: set WEIR_STORE_TOKEN or INFLUXDB_TOKEN";
  if (status === 404 && message.includes("database not found"))
    return `${message}. A database appears with the first row written to it; --db chooses another`;
  if (message.includes("table 'public.iox."))
    return `${message}. SHOW TABLES lists those that are there; --db chooses another database`;
  return message === "" ? `the server answered with status ${status}` : message;
}

function unreachable(endpoint: string, error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED")
    return `nothing listens on ${endpoint}. Start the service (npm start) or the store alone (npm run weir -- store), or name another --endpoint`;
  return `${endpoint} does not answer: ${code || (error instanceof Error ? error.message : String(error))}`;
}

function endLine(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
