import { isUtf8 } from "node:buffer";
import type { Point, Value } from "./points.ts";

/** The obvious reader: one character per byte, regular expressions, objects. The fast one must agree with it on every input. */

export type SlowLine = Point | { readonly bad: true; readonly line: number };

class Bad extends Error {
  readonly at: number;
  readonly inFields: boolean;
  /** Where the opening quote of an unusable string stands. */
  readonly quoteAt: number | undefined;
  constructor(at: number, inFields: boolean, quoteAt?: number) {
    super("bad line");
    this.at = at;
    this.inFields = inFields;
    this.quoteAt = quoteAt;
  }
}

const MEASUREMENT = /(?:\\[,= ]|[^\0- ,\x7f])+/y;
const NAME = /(?:\\[,= ]|[^\0- ,=\x7f])+/y;
const STRING = /"(?:\\["\\]|\\(?!["\\])|[^"\\])*"/y;
const VALUE_END = /^(?:[, ]|\r?\n|\r?$)/;
const LINE_END = /^(?:\r?\n|\r?$)/;
const FLOAT = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const utf8 = (text: string) => Buffer.from(text, "latin1").toString();
const unescapeTag = (text: string) => utf8(text.replaceAll(/\\([,= ])/g, "$1"));
const unescapeText = (text: string) => utf8(text.replaceAll(/\\(["\\])/g, "$1"));

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** End of a string that counts as one, else undefined (see LineReader). */
function stringEnd(text: string, at: number): number | undefined {
  const string = match(STRING, text, at);
  if (string === undefined) return undefined;
  const end = at + string.length;
  if (VALUE_END.test(text.slice(end))) return end;
  if (text[end] === "b" && VALUE_END.test(text.slice(end + 1))) return end + 1;
  return string.includes("\n") ? undefined : end;
}

function scalar(text: string): Value | undefined {
  if (/^(?:t|T|true|True|TRUE)$/.test(text)) return { boolean: true };
  if (/^(?:f|F|false|False|FALSE)$/.test(text)) return { boolean: false };
  if (/^-?\d+i$/.test(text)) {
    const integer = BigInt(text.slice(0, -1));
    return BigInt.asIntN(64, integer) === integer ? { integer } : undefined;
  }
  if (/^\d+u$/.test(text)) {
    const uinteger = BigInt(text.slice(0, -1));
    return BigInt.asUintN(64, uinteger) === uinteger ? { uinteger } : undefined;
  }
  const float = Number(text);
  return FLOAT.test(text) && Number.isFinite(float) ? { float } : undefined;
}

/** End of a list, or where its first broken string begins (negative: no list at all). */
function listEnd(text: string, at: number): { end?: number; newlineAt?: number } {
  let p = at + 1;
  let newlineAt: number | undefined;
  const spaces = () => {
    while (text[p] === " ") p++;
  };
  const fail = () => (newlineAt === undefined ? {} : { newlineAt });
  spaces();
  for (let isFirst = true; ; isFirst = false) {
    if (isFirst && text[p] === "]") break;
    if (text[p] === '"') {
      const string = match(STRING, text, p);
      const seen = string ?? text.slice(p);
      if (seen.includes("\n")) newlineAt ??= p + seen.indexOf("\n");
      if (string === undefined) return fail();
      p += string.length;
    } else {
      const token = match(/[0-9A-Za-z.+-]*/y, text, p) ?? "";
      if (scalar(token) === undefined) return fail();
      p += token.length;
    }
    spaces();
    if (text[p] === "]") break;
    if (text[p] !== ",") return fail();
    p++;
    spaces();
  }
  return { end: p + 1 };
}

/** Position of the newline that ends a bad line. */
function resync(text: string, lineAt: number, bad: Bad): number {
  const newlineFrom = (at: number) => {
    const newline = text.indexOf("\n", at);
    return newline < 0 ? text.length : newline;
  };
  if (bad.quoteAt !== undefined) return newlineFrom(bad.quoteAt);
  let { inFields } = bad;
  for (let p = bad.at; p < text.length; p++) {
    if (text[p] === "\n") return p;
    if (text[p] === " ") inFields = true;
    if (!inFields || p === lineAt || text[p - 1] !== "=") continue;
    if (text[p] === '"') {
      const end = stringEnd(text, p);
      if (end === undefined) return newlineFrom(p);
      p = end - 1;
    } else if (text[p] === "[") {
      const { end, newlineAt } = listEnd(text, p);
      if (end !== undefined) p = end - 1;
      else if (newlineAt !== undefined) return newlineAt;
    }
  }
  return text.length;
}

function parseLine(text: string, lineAt: number): { point: Point; end: number } {
  const measurement = match(MEASUREMENT, text, lineAt);
  if (measurement === undefined) throw new Bad(lineAt, false);
  if (measurement.length > 65_536) throw new Bad(lineAt, false);
  let p = lineAt + measurement.length;
  const tags: [string, string][] = [];
  while (text[p] === ",") {
    const from = p + 1;
    if (tags.length === 10_000) throw new Bad(from, false);
    const key = match(NAME, text, from) ?? "";
    const value = match(NAME, text, from + key.length + 1) ?? "";
    const equals = from + key.length;
    if (key === "" || text[equals] !== "=") throw new Bad(equals, false);
    if (value === "") throw new Bad(equals + 1, false);
    if (key.length > 65_536 || value.length + 1 > 65_536) throw new Bad(from, false);
    tags.push([key, value]);
    p = equals + 1 + value.length;
  }
  if (text[p] !== " ") throw new Bad(p, false);
  while (text[p] === " ") p++;
  if (LINE_END.test(text.slice(p))) throw new Bad(p, true);
  const fields: [string, Value][] = [];
  for (;;) {
    if (tags.length + fields.length === 10_000) throw new Bad(p, true);
    const key = match(NAME, text, p) ?? "";
    const equals = p + key.length;
    if (key === "" || text[equals] !== "=") throw new Bad(equals, true);
    if (key.length > 65_536) throw new Bad(p, true);
    const [value, end] = parseValue(text, equals + 1);
    fields.push([unescapeTag(key), value]);
    p = end;
    if (text[p] !== ",") break;
    p++;
  }
  let time: bigint | undefined;
  if (!LINE_END.test(text.slice(p))) {
    if (text[p] !== " ") throw new Bad(p, true);
    while (text[p] === " ") p++;
    if (!LINE_END.test(text.slice(p))) {
      const digits = match(/[^ \r\n]*/y, text, p) ?? "";
      if (!/^-?\d+$/.test(digits)) throw new Bad(p, true);
      time = BigInt(digits);
      if (BigInt.asIntN(64, time) !== time) throw new Bad(p, true);
      p += digits.length;
      while (text[p] === " ") p++;
      if (!LINE_END.test(text.slice(p))) throw new Bad(p, true);
    }
  }
  const name = utf8(measurement.replaceAll(/\\([, ])/g, "$1"));
  const pairs = tags.map(([k, v]) => [unescapeTag(k), unescapeTag(v)] as const);
  return { point: { measurement: name, tags: pairs, fields, time }, end: p };
}

function parseValue(text: string, at: number): [Value, number] {
  if (text[at] === '"') {
    const end = stringEnd(text, at);
    if (end === undefined) throw new Bad(at, true, at);
    const string = match(STRING, text, at) ?? "";
    if (string.length - 2 > 1 << 20) throw new Bad(end, true);
    return [{ text: unescapeText(string.slice(1, -1)) }, end];
  }
  if (text[at] === "[") {
    const { end, newlineAt } = listEnd(text, at);
    if (end === undefined) throw new Bad(at, true, newlineAt);
    if (end - at > 1 << 20) throw new Bad(end, true);
    return [{ list: utf8(text.slice(at, end)) }, end];
  }
  const token = match(/[^, \r\n]*/y, text, at) ?? "";
  const value = scalar(token);
  if (value === undefined || token.length > 65_536) throw new Bad(at, true);
  return [value, at + token.length];
}

/** Every line as an object. */
export function readSlowly(bytes: Uint8Array): SlowLine[] {
  const text = Buffer.from(bytes).toString("latin1");
  const out: SlowLine[] = [];
  for (let p = 0; ; ) {
    p += (match(/(?: |\r(?=\n|$)|\n|#[^\n]*)*/y, text, p) ?? "").length;
    if (p >= text.length) return out;
    const line = text.slice(0, p).split("\n").length;
    try {
      const { point, end } = parseLine(text, p);
      const raw = text.slice(p, end);
      const keys = point.tags.map(([key]) => key);
      const isGood = isUtf8(Buffer.from(raw, "latin1")) && new Set(keys).size === keys.length;
      out.push(isGood ? point : { bad: true, line });
      p = end;
    } catch (error) {
      if (!(error instanceof Bad)) throw error;
      out.push({ bad: true, line });
      p = resync(text, p, error);
    }
  }
}
