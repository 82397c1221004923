import fc from "fast-check";
import { expect, test } from "vitest";
import { type Dialect, LineText, room, writeBoolean, writeString } from "../../src/line/writer.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { readPoints } from "./points.ts";

const DIALECTS: readonly Dialect[] = ["v3", "v2", "v1"];
type Place = "writeMeasurement" | "writeName" | "writeTagValue";

function source(text: string) {
  const bytes = Buffer.from(text);
  const roomy = withSlack(bytes);
  return {
    view: new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength),
    end: bytes.length,
  };
}

function written(dialect: Dialect, place: Place, text: string): { text: string; dropped: number } {
  const writer = new LineText(dialect);
  const { view, end } = source(text);
  const out = Buffer.alloc(room(end), "#");
  const stop = writer[place](new DataView(out.buffer, out.byteOffset, out.length), 0, view, 0, end);
  return { text: out.toString("utf8", 0, stop), dropped: writer.dropped };
}

function quoted(text: string): string {
  const { view, end } = source(text);
  const out = Buffer.alloc(room(end) + 2);
  const stop = writeString(new DataView(out.buffer, out.byteOffset, out.length), 0, view, 0, end);
  return out.toString("utf8", 0, stop);
}

/** The obvious twin: what a name must look like, by the rules of mapping §9.10. */
function slowName(dialect: Dialect, text: string, isMeasurement: boolean): string {
  const isControl = (c: string) => (c < " " && c !== "\n") || c === "\x7f";
  let kept = [...text].filter((c) => !isControl(c)).join("");
  if (isMeasurement) kept = kept.replace(/^#+/, "");
  // The backslash of a written newline stands before an `n`, so it is never doubled.
  const characters = [...kept.replace(/\\+$/, "").replaceAll("\n", "\\n")];
  return characters
    .map((c, i) => {
      if (c === "," || c === " " || (c === "=" && !isMeasurement)) return `\\${c}`;
      const isDoubled = c === "\\" && dialect === "v3" && /^[\\,= ]$/.test(characters[i + 1] ?? "");
      return isDoubled ? "\\\\" : c;
    })
    .join("");
}

/** InfluxDB 3's reading of names: `\` takes away the meaning of comma, equals sign, space and backslash. */
const readV3 = (text: string) => text.replaceAll(/\\([,= \\])/g, "$1");

const odd = fc.oneof(
  fc.constantFrom(...' ,=\\"\n\r\t\f\0#abn\x7f', "ä", "😀", "\\\\", "\\,", "=\\", "\u2028"),
  fc.string({ unit: "binary", maxLength: 3 }),
);
const text = fc.array(odd, { maxLength: 12 }).map((parts) => parts.join("").toWellFormed());
const runs = { numRuns: 3_000 };

test("names and tag values equal the slow twin", () => {
  fc.assert(
    fc.property(text, fc.constantFrom(...DIALECTS), (value, dialect) => {
      expect(written(dialect, "writeTagValue", value).text).toBe(slowName(dialect, value, false));
      expect(written(dialect, "writeName", value).text).toBe(slowName(dialect, value, false));
      expect(written(dialect, "writeMeasurement", value).text).toBe(slowName(dialect, value, true));
    }),
    runs,
  );
});

test("text never becomes structure: one point in, the same point out, or bytes counted as left out", () => {
  const dialects = fc.constantFrom(...DIALECTS);
  fc.assert(
    fc.property(text, text, text, text, text, dialects, (m, k, v, f, s, dialect) => {
      const measurement = written(dialect, "writeMeasurement", m);
      const key = written(dialect, "writeName", k);
      const value = written(dialect, "writeTagValue", v);
      const field = written(dialect, "writeName", f);
      fc.pre([measurement, key, value, field].every((part) => part.text !== ""));
      const line = `${measurement.text},${key.text}=${value.text} ${field.text}=${quoted(s)} 1`;
      const points = readPoints(Buffer.from(`${line}\nlast v=1`));
      expect(points).toHaveLength(2);
      const [point] = points;
      if (point === undefined || "problem" in point) throw new Error(`${line}: ${point?.problem}`);
      expect(point.tags).toHaveLength(1);
      expect(point.fields).toEqual([[expect.any(String), { text: s }]]);
      const [tag] = point.tags;
      if (dialect === "v3") {
        expectSame(value, readV3(value.text), v);
        expectSame(field, readV3(field.text), f);
      } else {
        expectSame(measurement, point.measurement, m);
        expectSame(key, tag?.[0] ?? "", k);
        expectSame(value, tag?.[1] ?? "", v);
        expectSame(field, point.fields[0]?.[0] ?? "", f);
      }
    }),
    runs,
  );
});

/** What was read is what was written, less what was counted; a newline stands as the two characters `\n`. */
function expectSame(part: { text: string; dropped: number }, got: string, wanted: string): void {
  const plain = wanted.replaceAll("\n", "\\n");
  expect(Buffer.byteLength(got) + part.dropped).toBe(Buffer.byteLength(plain));
  if (part.dropped === 0) expect(got).toBe(plain);
}

test("examples", () => {
  expect(written("v3", "writeTagValue", "a b,c=d").text).toBe("a\\ b\\,c\\=d");
  expect(written("v3", "writeTagValue", "C:\\dir\\,x").text).toBe("C:\\dir\\\\\\,x");
  expect(written("v1", "writeTagValue", "C:\\dir\\,x").text).toBe("C:\\dir\\\\,x");
  expect(written("v2", "writeMeasurement", "##m=1\\")).toEqual({ text: "m=1", dropped: 3 });
  expect(written("v3", "writeName", "a\nb\r").text).toBe("a\\nb");
  expect(quoted('say "hi"\\\n')).toBe('"say \\"hi\\"\\\\\n"');
  const out = Buffer.alloc(8);
  const view = new DataView(out.buffer, out.byteOffset, 8);
  expect(out.toString("utf8", 0, writeBoolean(view, 0, true))).toBe("true");
  expect(out.toString("utf8", 0, writeBoolean(view, 0, false))).toBe("false");
});
