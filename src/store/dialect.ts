/** Strings, quoted names and comments on one side, the rest on the other. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|[^'"\-/]+|[\s\S]/g;
const GROUP_BY_TIME = /\bgroup\s+by\s+time\s*\(\s*(\d{1,9})\s*(ns|us|ms|s|m|h|d|w)\s*\)/i;
const UNIT: Readonly<Record<string, string>> = {
  us: "microseconds",
  ms: "milliseconds",
  s: "seconds",
  m: "minutes",
  h: "hours",
  d: "days",
  w: "weeks",
};

/**
 * Puts InfluxQL's `GROUP BY time(1h)`, which people write in SQL too, into SQL: the bare `time` of the select list becomes the
 * bucket. Everything else goes to DuckDB as it is. Text in quotes and comments is never changed.
 */
export function toDuckSql(sql: string): string {
  const tokens = sql.match(TOKENS) ?? [];
  const group = tokens.findIndex((token) => isCode(token) && GROUP_BY_TIME.test(token));
  if (group < 0) return sql;
  const [, count = "", unit = ""] = GROUP_BY_TIME.exec(tokens[group] as string) ?? [];
  const name = UNIT[unit.toLowerCase()];
  if (name === undefined) return sql;
  const bucket = `date_bin(INTERVAL '${count} ${name}', "time")`;
  tokens[group] = (tokens[group] as string).replace(GROUP_BY_TIME, `GROUP BY ${bucket}`);
  for (const [i, token] of tokens.entries()) {
    if (!isCode(token)) continue;
    const from = /\bfrom\b/i.exec(token)?.index ?? token.length;
    const list = token.slice(0, from);
    const changed = list.replace(/(\bselect\s+|,\s*)time\b(?!\s*\()/i, `$1${bucket} AS "time"`);
    tokens[i] = changed + token.slice(from);
    if (changed !== list || from < token.length) break;
  }
  return tokens.join("");
}

function isCode(token: string): boolean {
  return !/^['"]|^--|^\/\*/.test(token);
}
