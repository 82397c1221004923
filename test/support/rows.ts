/** Rows of line protocol, read slowly: for tests that look at what a writer wrote. Follows mapping §9.10 of the v3 dialect. */
export type Field =
  | { float: number }
  | { integer: string }
  | { uinteger: string }
  | { boolean: boolean }
  | { text: string };
export interface Row {
  table: string;
  tags: Record<string, string>;
  fields: Record<string, Field>;
  time: string;
}

export function readRows(lines: string): Row[] {
  const rows: Row[] = [];
  let at = 0;
  while (at < lines.length) {
    const [row, end] = readRow(lines, at);
    rows.push(row);
    at = end;
  }
  return rows;
}

function readRow(s: string, from: number): [Row, number] {
  let at = from;
  const word = (stops: string) => {
    let text = "";
    while (at < s.length && !stops.includes(s[at]!)) {
      if (s[at] === "\\" && at + 1 < s.length && "\\,= ".includes(s[at + 1]!)) at++;
      text += s[at++];
    }
    return text;
  };
  const expect = (c: string) => {
    if (s[at] !== c)
      throw new Error(`expected ${JSON.stringify(c)} at ${at}: ${s.slice(from, at + 40)}`);
    at++;
  };
  const row: Row = { table: word(", "), tags: {}, fields: {}, time: "" };
  while (s[at] === ",") {
    at++;
    const name = word("=, ");
    expect("=");
    if (Object.hasOwn(row.tags, name)) throw new Error(`tag ${name} twice: ${s.slice(from, at)}`);
    row.tags[name] = word(", ");
    if (row.tags[name] === "") throw new Error(`tag ${name} is empty: ${s.slice(from, at)}`);
  }
  do {
    at++;
    const name = word("=, ");
    expect("=");
    if (Object.hasOwn(row.fields, name))
      throw new Error(`field ${name} twice: ${s.slice(from, at)}`);
    if (s[at] === '"') {
      let text = "";
      for (at++; s[at] !== '"'; at++) {
        if (s[at] === "\\" && (s[at + 1] === '"' || s[at + 1] === "\\")) at++;
        if (at >= s.length) throw new Error(`open string: ${s.slice(from)}`);
        text += s[at];
      }
      at++;
      row.fields[name] = { text };
    } else row.fields[name] = literal(word(", \n"));
  } while (s[at] === ",");
  expect(" ");
  row.time = word("\n");
  expect("\n");
  if (!/^-?\d+$/.test(row.time)) throw new Error(`time ${row.time}: ${s.slice(from, at)}`);
  return [row, at];
}

function literal(text: string): Field {
  if (text === "true" || text === "false") return { boolean: text === "true" };
  if (/^-?\d+i$/.test(text)) return { integer: text.slice(0, -1) };
  if (/^\d+u$/.test(text)) return { uinteger: text.slice(0, -1) };
  if (text === "" || !Number.isFinite(Number(text))) throw new Error(`not a literal: ${text}`);
  return { float: Number(text) };
}
