import { expect, test } from "vitest";
import { writeQuotedJsonText } from "../../src/otlp/json-text.ts";
import { jsonRoom } from "../../src/otlp/value-json.ts";
import { withSlack } from "../../src/wire/slack.ts";

const OUT = new Uint8Array(4 * jsonRoom(300));
const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** JSON of the text, as it stands in a quoted string. */
function written(text: string, behind = ""): string {
  const bytes = new TextEncoder().encode(text);
  const source = withSlack(new TextEncoder().encode(text + behind));
  OUT.fill(0xee);
  const end = writeQuotedJsonText(viewOf(OUT), 5, viewOf(source), 0, bytes.length);
  return Buffer.from(OUT.subarray(5, end)).toString();
}

const expected = (text: string) => JSON.stringify(text).replace(/["\\]/g, "\\$&");

test("every byte below 128 at every place of texts of every length, whatever stands behind", () => {
  for (let length = 0; length <= 20; length++)
    for (let at = 0; at < length; at++)
      for (let c = 0; c < 128; c++) {
        const text = "a".repeat(at) + String.fromCharCode(c) + " ".repeat(length - at - 1);
        if (written(text, '"\\\u0001') !== expected(text))
          expect(written(text, '"\\\u0001'), `${c} at ${at}`).toBe(expected(text));
      }
  expect(written("", '"')).toBe('\\"\\"');
});

test("several in one text, and bytes above 127", () => {
  for (const text of ['"".""', '\\"\\"\\"\\"\\"\\"', 'über\n東京\t"x" 🙂 \\', '"'.repeat(64)])
    expect(written(text)).toBe(expected(text));
});

test("texts around the length from which they are taken to have something to escape", () => {
  for (const length of [255, 256, 257, 300])
    for (const text of [
      "a".repeat(length),
      `${"a".repeat(length - 1)}"`,
      `\\${"a".repeat(length - 1)}`,
    ])
      expect(written(text, '"')).toBe(expected(text));
});
