import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LineText, room, writeBoolean, writeString } from "../../src/line/writer.ts";
import { NUMBER_MAX, writeDouble, writeInt, writeUint64 } from "../../src/wire/numbers.ts";
import { withSlack } from "../../src/wire/slack.ts";

const CORPUS = join(import.meta.dirname, "../fixtures/line-protocol/corpus.jsonl");

type Text = string | { readonly binary: string };
type Digits = number | { readonly digits: string };
type Value =
  | { readonly float: number }
  | { readonly int: Digits }
  | { readonly uint: Digits }
  | { readonly bool: boolean }
  | { readonly string: Text };
interface EncodeCase {
  readonly kind: string;
  readonly input: {
    readonly point: {
      readonly time: Digits;
      readonly name: Text;
      readonly tags: readonly { readonly key: Text; readonly value: Text }[];
      readonly fields: readonly { readonly key: Text; readonly value: Value }[];
    };
  };
  readonly output: { readonly result: Text };
}

const bytesOf = (text: Text) =>
  typeof text === "string" ? Buffer.from(text) : Buffer.from(text.binary, "base64");
const halvesOf = (n: Digits) => {
  const whole = BigInt.asUintN(64, BigInt(typeof n === "number" ? n : n.digits));
  return [Number(whole & 0xffffffffn), Number(whole >> 32n)] as const;
};

/** A line made of nothing but the writer's primitives. */
class Line {
  readonly #bytes = Buffer.alloc(1 << 16);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
  readonly #text = new LineText("v2");
  #at = 0;

  raw(text: string): void {
    this.#at += this.#bytes.write(text, this.#at);
  }

  #write(text: Text, write: (view: DataView, source: DataView, end: number) => number): void {
    const bytes = bytesOf(text);
    const roomy = withSlack(bytes);
    const source = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
    expect(this.#at + room(bytes.length)).toBeLessThan(this.#bytes.length);
    this.#at = write(this.#view, source, bytes.length);
  }

  name(text: Text, place: "writeMeasurement" | "writeName" | "writeTagValue"): void {
    this.#write(text, (view, source, end) => this.#text[place](view, this.#at, source, 0, end));
  }

  value(value: Value): void {
    expect(this.#at + NUMBER_MAX).toBeLessThan(this.#bytes.length);
    if ("string" in value)
      this.#write(value.string, (view, source, end) => writeString(view, this.#at, source, 0, end));
    else if ("float" in value) this.#at = writeDouble(this.#view, this.#at, value.float);
    else if ("bool" in value) this.#at = writeBoolean(this.#view, this.#at, value.bool);
    else if ("int" in value) {
      this.#at = writeInt(this.#view, this.#at, ...halvesOf(value.int));
      this.raw("i");
    } else {
      this.#at = writeUint64(this.#view, this.#at, ...halvesOf(value.uint));
      this.raw("u");
    }
  }

  time(time: Digits): void {
    this.#at = writeInt(this.#view, this.#at, ...halvesOf(time));
  }

  get text(): string {
    return this.#bytes.toString("latin1", 0, this.#at);
  }
}

/** Where we differ from the corpus on purpose, ours by theirs: a newline in a string stays one, as servers read it. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'cpu,host=serverA,region=us-east str="foo\\nbar",value=1 1000000000':
    'cpu,host=serverA,region=us-east str="foo\nbar",value=1 1000000000',
};

test("the Go corpus: every encode case agrees, or is in the table of deviations", () => {
  const cases: EncodeCase[] = readFileSync(CORPUS, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "encode");
  expect(cases).toHaveLength(47);
  const different: Record<string, string> = {};
  for (const { input, output } of cases) {
    const { name, tags, fields, time } = input.point;
    const line = new Line();
    line.name(name, "writeMeasurement");
    for (const { key, value } of tags) {
      line.raw(",");
      line.name(key, "writeName");
      line.raw("=");
      line.name(value, "writeTagValue");
    }
    for (const [i, { key, value }] of fields.entries()) {
      line.raw(i === 0 ? " " : ",");
      line.name(key, "writeName");
      line.raw("=");
      line.value(value);
    }
    line.raw(" ");
    line.time(time);
    const theirs = bytesOf(output.result).toString("latin1");
    if (line.text !== theirs) different[theirs] = line.text;
  }
  expect(different).toEqual(DEVIATIONS);
});
