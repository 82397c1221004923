import { type HttpSink, httpSink, type SinkAnswer } from "./http-sink.ts";

type Type = "float" | "integer" | "uinteger" | "boolean" | "string";

/** A row as it was stored: its fields as they stood on the line. */
export type StoredRow = ReadonlyMap<string, string>;

export interface InfluxSink extends AsyncDisposable {
  readonly http: HttpSink;
  /** By database, then by series and time (`m,t=1 1700…`). */
  readonly rows: Map<string, Map<string, StoredRow>>;
  /** Type of each field that the server holds already, `<measurement>.<field>`, for all databases that are new. */
  readonly types: Map<string, Type>;
  /** Why a line cannot be stored, whatever its types are. */
  refuses: (line: string) => string | undefined;
}

const LINE = /^((?:\\.|[^ \\])+) (.+) (\d+)$/;
const FIELD = /((?:\\.|[^=,\\])+)=("(?:\\.|[^"\\])*"|[^,]+)(?:,|$)/g;
const V1_WORDS: Partial<Record<Type, string>> = { uinteger: "unsigned" };

/**
 * InfluxDB as its answers show it: the first type of a field holds for ever, the good rows of a request are stored beside the bad ones.
 * v3 names every line that it leaves out; v2 and v1 tell of one mistake and how many rows it cost.
 */
export async function influxSink(api: "v3" | "v2" | "v1"): Promise<InfluxSink> {
  const http = await httpSink();
  const held = new Map<string, Map<string, Type>>();
  const sink: InfluxSink = {
    http,
    rows: new Map(),
    types: new Map(),
    refuses: () => undefined,
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
  http.answer = ({ url, body }) => {
    const query = new URL(url, http.url).searchParams;
    const database = query.get("db") ?? query.get("bucket") ?? "";
    const types = held.get(database) ?? new Map(sink.types);
    held.set(database, types);
    const rows = sink.rows.get(database) ?? new Map<string, StoredRow>();
    sink.rows.set(database, rows);
    const left: (readonly [number, string])[] = [];
    for (const [i, line] of body.toString().trimEnd().split("\n").entries()) {
      const why = sink.refuses(line) ?? store(line, types, rows, api);
      if (why !== undefined) left.push([i + 1, why]);
    }
    return left.length === 0 ? { status: 204 } : answerOf(api, left);
  };
  return sink;
}

function answerOf(
  api: "v3" | "v2" | "v1",
  left: readonly (readonly [number, string])[],
): SinkAnswer {
  const [, last = ""] = left.at(-1) ?? [];
  const partial = `partial write: ${last} dropped=${left.length}`;
  if (api === "v1") return { status: 400, body: JSON.stringify({ error: partial }) };
  if (api === "v2") {
    const message = `failure writing points to database: ${partial}`;
    return { status: 422, body: JSON.stringify({ code: "unprocessable entity", message }) };
  }
  const data = left.map(([line_number, error_message]) => {
    return { error_message, line_number, original_line: "" };
  });
  const status = left.some(([, why]) => why.startsWith("Update to schema")) ? 422 : 400;
  return {
    status,
    body: JSON.stringify({ error: "partial write of line protocol occurred", data }),
  };
}

/** Stores the row, or says why not. */
function store(
  line: string,
  types: Map<string, Type>,
  rows: Map<string, StoredRow>,
  api: "v3" | "v2" | "v1",
): string | undefined {
  const [, series = "", text = "", time] = LINE.exec(line) ?? [];
  if (time === undefined) return "Could not parse entire line";
  const measurement = series.replace(/(?<!\\),.*$/s, "");
  const row = new Map<string, string>();
  const seen = new Map<string, Type>();
  for (const [, name = "", value = ""] of text.matchAll(FIELD)) {
    const type = typeOf(value);
    const known = types.get(`${measurement}.${name}`);
    if (known !== undefined && known !== type) return conflict(api, measurement, name, type, known);
    if (row.has(name) && api === "v3")
      return `invalid line protocol - multiple instances of '${name}' field found`;
    row.set(name, value);
    seen.set(`${measurement}.${name}`, type);
  }
  for (const [name, type] of seen) types.set(name, type);
  rows.set(`${series} ${time}`, row);
  return undefined;
}

function typeOf(value: string): Type {
  if (value.startsWith('"')) return "string";
  if (/^[tTfF]/.test(value)) return "boolean";
  if (value.endsWith("i")) return "integer";
  return value.endsWith("u") ? "uinteger" : "float";
}

function conflict(
  api: "v3" | "v2" | "v1",
  measurement: string,
  name: string,
  type: Type,
  known: Type,
): string {
  if (api === "v3")
    return `invalid column type for column '${name}', expected iox::column_type::field::${known}, got iox::column_type::field::${type}`;
  return `field type conflict: input field "${name}" on measurement "${measurement}" is type ${V1_WORDS[type] ?? type}, already exists as type ${V1_WORDS[known] ?? known}`;
}
