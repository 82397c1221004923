/** Fields of CSV text (RFC 4180), line by line. */
export function parseCsv(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g,
  )) {
    if (end === "" && quoted === undefined && plain === "" && line.length === 0) break;
    line.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    lines.push(line);
    line = [];
    if (end === "") break;
  }
  return lines;
}

/** An aligned table for a terminal; the first line is the head. Control characters are shown, never sent to the terminal. */
export function tableText(lines: readonly (readonly string[])[]): string {
  const [head = [], ...rows] = lines.map((line) => line.map(escapeControls));
  const widths = head.map((name, i) =>
    Math.max(...[name, ...rows.map((r) => r[i] ?? "")].map(size)),
  );
  const isNumber = head.map((_, i) =>
    rows.every((row) => /^(?:-?\d[\d.e+-]*)?$/.test(row[i] ?? "")),
  );
  const put = (line: readonly string[]) =>
    line
      .map((cell, i) => {
        const gap = " ".repeat(Math.max(0, (widths[i] ?? 0) - size(cell)));
        return isNumber[i] ? gap + cell : cell + gap;
      })
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  const count = rows.length === 1 ? "1 row" : `${rows.length} rows`;
  return `${[put(head), rule, ...rows.map(put), `(${count})`].join("\n")}\n`;
}

function size(text: string): number {
  return [...text].length;
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (c) => {
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    if (c === "\r") return "\\r";
    return `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}
