import { isUtf8 } from "../../line/utf8.ts";
import { HEX_VALUES } from "../../wire/hex.ts";
import type { StreamLabels } from "./stream-labels.ts";

/** Whether a byte is white space (1), begins a name (2), goes on with one (4). */
const CLASS = new Uint8Array(256);
for (const c of " \t\n\r") CLASS[c.charCodeAt(0)] = 1;
for (let c = 48; c < 58; c++) CLASS[c] = 4;
for (let c = 65; c < 91; c++) CLASS[c] = CLASS[c + 32] = 6;
CLASS[0x5f] = 6;
const SPACE = 1;
const FIRST = 2;
const NAME = 6;

const HASH = 0x23;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const NEWLINE = 10;
const DOUBLE = 0x22;
const SINGLE = 0x27;
const RAW = 0x60;
/** Escapes of one letter. */
const ESCAPES: ReadonlyMap<number, number> = new Map(
  [..."a\x07b\bf\fn\nr\rt\tv\v\\\\"].flatMap((c, i, all) =>
    i % 2 === 0 ? [[c.charCodeAt(0), (all[i + 1] ?? "").charCodeAt(0)] as const] : [],
  ),
);
/** Digits and base of an escape with a number. */
const NUMBERED: ReadonlyMap<number, { readonly digits: number; readonly base: number }> = new Map([
  [0x78, { digits: 2, base: 16 }],
  [0x75, { digits: 4, base: 16 }],
  [0x55, { digits: 8, base: 16 }],
  ...Array.from({ length: 8 }, (_, i) => [0x30 + i, { digits: 3, base: 8 }] as const),
]);
const METRIC = Buffer.from("__name__");
/** Longest part of a text that is repeated in an error. */
const SHOWN = 10;

/** What is wrong with the text of labels, in the words of Prometheus' parser, which Loki uses. */
export class LabelError extends Error {}

/**
 * Reads labels as text, `{app="shop", env="prod"}`, with Go's three kinds of quotes and its escapes. Nothing is made per label; an error is
 * thrown with Loki's text and column.
 */
export class LabelText {
  readonly #labels: StreamLabels;
  #bytes: Uint8Array = new Uint8Array(0);
  #from = 0;
  #end = 0;
  #p = 0;

  constructor(labels: StreamLabels) {
    this.#labels = labels;
  }

  /** Adds the labels in `bytes[from, end)`; no text at all is no labels. Throws LabelError. */
  read(bytes: Uint8Array, from: number, end: number): void {
    this.#bytes = bytes;
    this.#from = this.#p = from;
    this.#end = end;
    if (from === end) return;
    this.#space();
    if (this.#is(FIRST)) this.#metric();
    if (this.#p < end && bytes[this.#p] === OPEN) this.#braces();
    else if (this.#p === from) throw this.#stray("unexpected character: ");
    this.#space();
    if (this.#p < end) throw this.#behind();
  }

  /** `up{…}` is `{__name__="up", …}`. */
  #metric(): void {
    const { texts } = this.#labels;
    const start = texts.length;
    const at = this.#p;
    this.#name();
    const length = this.#p - at;
    texts.ensure(METRIC.length + length);
    for (const c of METRIC) texts.byte(c);
    for (let p = at; p < at + length; p++) texts.byte(this.#bytes[p]!);
    this.#labels.add(start, METRIC.length);
    this.#space();
  }

  #braces(): void {
    const bytes = this.#bytes;
    this.#p++;
    for (let isFirst = true; ; isFirst = false) {
      this.#inside();
      if (bytes[this.#p] === CLOSE) break;
      this.#pair(isFirst);
      this.#inside();
      const c = bytes[this.#p]!;
      if (c === CLOSE) break;
      if (c !== COMMA) throw this.#unexpected('expected "," or "}"');
      this.#p++;
    }
    this.#p++;
  }

  #pair(isFirst: boolean): void {
    const labels = this.#labels;
    const { texts } = labels;
    const start = texts.length;
    texts.ensure(this.#end - this.#p);
    const c = this.#bytes[this.#p]!;
    if (isQuote(c)) this.#quoted();
    else if (this.#is(FIRST)) this.#copyName();
    else throw this.#unexpected(`expected identifier${isFirst ? ' or "}"' : ""}`);
    const nameLength = texts.length - start;
    this.#inside();
    if (this.#bytes[this.#p] !== EQUALS || this.#operator() !== "")
      throw this.#unexpected('expected "="');
    this.#p++;
    this.#inside();
    if (!isQuote(this.#bytes[this.#p]!)) throw this.#unexpected("expected string");
    texts.ensure(this.#end - this.#p);
    this.#quoted();
    labels.add(start, nameLength);
  }

  #copyName(): void {
    const { texts } = this.#labels;
    for (; this.#is(NAME); this.#p++) texts.byte(this.#bytes[this.#p]!);
  }

  /** A text in quotes, unescaped; its room is there. */
  #quoted(): void {
    const bytes = this.#bytes;
    const { texts } = this.#labels;
    const start = this.#p;
    const quote = bytes[start]!;
    for (this.#p++; ; ) {
      if (this.#p >= this.#end) throw this.#fail(start, UNTERMINATED[quote] ?? "");
      const c = bytes[this.#p]!;
      this.#p++;
      if (c === quote) return;
      if (quote !== RAW && c === NEWLINE) throw this.#fail(start, UNTERMINATED[quote] ?? "");
      if (quote !== RAW && c === BACKSLASH) this.#escape(start, quote);
      else if (c < 0x80) texts.byte(c);
      else this.#rune(start);
    }
  }

  /** A character of several bytes, whose first was passed. */
  #rune(start: number): void {
    const size = runeSize(this.#bytes, this.#p - 1, this.#end);
    if (size === 0) throw this.#fail(start, "invalid UTF-8 rune");
    for (let i = 0; i < size; i++) this.#labels.texts.byte(this.#bytes[this.#p - 1 + i]!);
    this.#p += size - 1;
  }

  #escape(start: number, quote: number): void {
    const { texts } = this.#labels;
    if (this.#p >= this.#end) throw this.#fail(start, "escape sequence not terminated");
    const c = this.#bytes[this.#p]!;
    const meaning = c === quote ? quote : ESCAPES.get(c);
    const numbered = NUMBERED.get(c);
    if (meaning === undefined && numbered === undefined)
      throw this.#fail(start, `unknown escape sequence ${this.#codePoint()}`);
    this.#p++;
    if (meaning !== undefined) texts.byte(meaning);
    if (meaning !== undefined || numbered === undefined) return;
    const { digits, base } = numbered;
    if (base === 8) this.#p--;
    let value = 0;
    for (let i = 0; i < digits; i++, this.#p++) {
      const digit = this.#p < this.#end ? HEX_VALUES[this.#bytes[this.#p]!]! : -1;
      if (digit < 0) throw this.#fail(start, "escape sequence not terminated");
      if (digit >= base)
        throw this.#fail(start, `illegal character ${this.#codePoint()} in escape sequence`);
      value = value * base + digit;
    }
    const isByte = digits < 4;
    if (value > (isByte ? 255 : 0x10ffff) || (value >= 0xd800 && value < 0xe000))
      throw this.#fail(start, "escape sequence is an invalid Unicode code point");
    if (isByte) texts.byte(value);
    else for (const byte of Buffer.from(String.fromCodePoint(value))) texts.byte(byte);
  }

  #name(): void {
    while (this.#is(NAME)) this.#p++;
  }

  #is(kind: number): boolean {
    return this.#p < this.#end && (CLASS[this.#bytes[this.#p]!]! & kind) !== 0;
  }

  /** White space and comments. */
  #space(): void {
    for (; this.#p < this.#end; this.#p++) {
      const c = this.#bytes[this.#p]!;
      if (c === HASH)
        while (this.#p + 1 < this.#end && this.#bytes[this.#p + 1] !== NEWLINE) this.#p++;
      else if ((CLASS[c]! & SPACE) === 0) return;
    }
  }

  /** The same between braces, where the text must not end. */
  #inside(): void {
    this.#space();
    if (this.#p >= this.#end) throw this.#fail(this.#p, "unexpected end of input inside braces");
  }

  /** The operator of two characters that begins here, or "". */
  #operator(): string {
    const pair = Buffer.from(this.#bytes.subarray(this.#p, this.#p + 2)).toString("latin1");
    return this.#p + 1 < this.#end && /^(?:!=|=~|!~)$/.test(pair) ? pair : "";
  }

  /** What stands here instead of what should, between braces. */
  #unexpected(expected: string): LabelError {
    const start = this.#p;
    const c = this.#bytes[start]!;
    const operator = this.#operator();
    let found = "";
    if (operator !== "") found = `<op:${operator}>`;
    else if (c === COMMA || c === EQUALS || c === CLOSE || c === OPEN)
      found = JSON.stringify(String.fromCharCode(c));
    else if (this.#is(FIRST)) {
      this.#name();
      found = `identifier ${shown(this.#shownFrom(start))}`;
    } else if (isQuote(c)) {
      this.#labels.texts.ensure(this.#end - start);
      this.#quoted();
      found = `string ${shown(this.#shownFrom(start))}`;
    } else return this.#stray("unexpected character inside braces: ");
    return this.#fail(start, `unexpected ${found} in label set, ${expected}`);
  }

  /** What stands behind the labels. */
  #behind(): LabelError {
    const start = this.#p;
    const c = this.#bytes[start]!;
    if (this.#is(FIRST)) {
      this.#name();
      return this.#fail(start, `unexpected identifier ${shown(this.#shownFrom(start))}`);
    }
    if (c === EQUALS || c === COMMA || c === OPEN)
      return this.#fail(start, `unexpected ${JSON.stringify(String.fromCharCode(c))}`);
    return this.#stray("unexpected character: ");
  }

  #stray(what: string): LabelError {
    const size = Math.max(1, runeSize(this.#bytes, this.#p, this.#end));
    const rune = Buffer.from(this.#bytes.subarray(this.#p, this.#p + size)).toString();
    const quoted = JSON.stringify(rune).slice(1, -1);
    return this.#fail(this.#p, `${what}'${quoted}'`);
  }

  #shownFrom(start: number): string {
    return Buffer.from(this.#bytes.subarray(start, this.#p)).toString();
  }

  /** As Go's %#U. */
  #codePoint(): string {
    const size = Math.max(1, runeSize(this.#bytes, this.#p, this.#end));
    const rune = Buffer.from(this.#bytes.subarray(this.#p, this.#p + size)).toString();
    const code = rune.codePointAt(0) ?? 0;
    return `U+${code.toString(16).toUpperCase().padStart(4, "0")} '${rune}'`;
  }

  #fail(at: number, what: string): LabelError {
    let line = 1;
    let column = at - this.#from + 1;
    for (let p = this.#from; p < at; p++)
      if (this.#bytes[p] === NEWLINE) {
        line++;
        column = at - p;
      }
    return new LabelError(`${line}:${column}: parse error: ${what}`);
  }
}

const UNTERMINATED: Readonly<Record<number, string>> = {
  [DOUBLE]: "unterminated quoted string",
  [SINGLE]: "unterminated quoted string",
  [RAW]: "unterminated raw string",
};

function isQuote(c: number): boolean {
  return c === DOUBLE || c === SINGLE || c === RAW;
}

/** As Go's %.10q of what is long, else %q. */
function shown(text: string): string {
  return text.length > SHOWN ? `${JSON.stringify(text.slice(0, SHOWN))}...` : JSON.stringify(text);
}

/** Bytes of the character at `p`; 0 when they are no UTF-8. */
function runeSize(bytes: Uint8Array, p: number, end: number): number {
  const c = bytes[p] ?? 0;
  if (c < 0x80) return 1;
  const size = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  const isWhole = size > 0 && p + size <= end && isUtf8(bytes, p, p + size);
  return isWhole ? size : 0;
}

/** Whether `bytes[from, end)` is a name as it stands in such a text without quotes. */
export function isLabelName(bytes: Uint8Array, from: number, end: number): boolean {
  if (end === from || (CLASS[bytes[from]!]! & FIRST) === 0) return false;
  for (let p = from + 1; p < end; p++) if ((CLASS[bytes[p]!]! & NAME) === 0) return false;
  return true;
}
