/**
 * One character or comment that means nothing, as the text of a pattern. Each text can be read in one way only: a pattern that
 * repeats this takes no longer than the text is.
 */
export const IGNORED = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)`;
/** Strings, quoted names and comments on one side, the rest on the other. A comment without an end takes all that follows. */
const TOKENS =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*(?:[^*]|\*(?!\/))*(?:\*\/|$)|[^'"\-/]+|[\s\S]/g;
/** No SQL has this: a number with letters behind it does not parse. */
const TIME_BUCKET = /\btime\s*\(\s*(\d{1,9})\s*(us|ms|s|m|h|d|w)\s*\)/gi;
const UNIT: Readonly<Record<string, string>> = {
  us: "microseconds",
  ms: "milliseconds",
  s: "seconds",
  m: "minutes",
  h: "hours",
  d: "days",
  w: "weeks",
};
/** The bare column as an item of the select list, perhaps with a name of its own behind it. */
const BARE_TIME = /(\bselect\s+|,\s*)time\b(?!\s*[(.])(\s+as\b)?/i;
/** What stands before an item of the select list. */
const IS_ITEM = /(?:\bselect\s+|,\s*)$/i;

/**
 * Puts InfluxQL's `GROUP BY time(1h)`, which people write in SQL too, into SQL: the bare `time` of the select list becomes the
 * bucket. Everything else goes to DuckDB as it is. Text in quotes and comments is never changed.
 */
export function toDuckSql(sql: string): string {
  const tokens = sql.match(TOKENS) ?? [];
  let bucket: string | undefined;
  const binned = tokens.map((token) =>
    isCode(token)
      ? token.replace(TIME_BUCKET, (_, count: string, unit: string) => {
          bucket = `date_bin(INTERVAL '${count} ${UNIT[unit.toLowerCase()]}', "time")`;
          return bucket;
        })
      : token,
  );
  if (bucket === undefined) return sql;
  bucketTime(binned, bucket);
  return binned.join("");
}

/** Puts the bucket in the place of the first `time`, quoted or not, of the first select list. */
function bucketTime(tokens: string[], bucket: string): void {
  for (const [i, token] of tokens.entries()) {
    if (/^"time"$/i.test(token) && IS_ITEM.test(tokens[i - 1] ?? "")) {
      tokens[i] = /^\s+as\b/i.test(tokens[i + 1] ?? "") ? bucket : `${bucket} AS "time"`;
      return;
    }
    if (!isCode(token)) continue;
    const from = /\bfrom\b/i.exec(token)?.index ?? token.length;
    const list = token.slice(0, from);
    const changed = list.replace(
      BARE_TIME,
      (_, before: string, as: string | undefined) => `${before}${bucket}${as ?? ' AS "time"'}`,
    );
    tokens[i] = changed + token.slice(from);
    if (changed !== list || from < token.length) return;
  }
}

function isCode(token: string): boolean {
  return !/^['"]|^--|^\/\*/.test(token);
}
