import { appendFile, unlink, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { wholeEnd } from "../../../src/receivers/file_log/characters.ts";
import { FileRig } from "./rig.ts";

const ENCODINGS = ["utf-8", "utf-16le", "utf-16be", "latin1"] as const;
type Encoding = (typeof ENCODINGS)[number];

function encoded(text: string, encoding: Encoding): Buffer {
  if (encoding === "utf-16be") return Buffer.from(text, "utf16le").swap16();
  return Buffer.from(text, encoding === "utf-16le" ? "utf16le" : encoding);
}

test.each(ENCODINGS)(
  "%s: a cut at any byte is moved to the last boundary of characters",
  (encoding) => {
    const text = fc.array(fc.constantFrom("a", "\n", "é", "€", "߿", "😀", "\u{10ffff}"));
    fc.assert(
      fc.property(text, fc.nat(6), (characters, at) => {
        const known = characters.filter((c) => encoding !== "latin1" || c <= "é");
        const ends = [at];
        for (const c of known) ends.push((ends.at(-1) ?? 0) + encoded(c, encoding).length);
        const bytes = Buffer.concat([Buffer.alloc(at), encoded(known.join(""), encoding)]);
        for (let cut = at; cut <= bytes.length; cut++)
          expect(wholeEnd(bytes, at, cut, encoding)).toBe(ends.findLast((end) => end <= cut));
      }),
    );
  },
);

test.each([
  ["a lone continuation", [0x61, 0x80, 0x80]],
  ["a byte that begins nothing", [0x61, 0xff]],
  ["more continuations than a character has", [0xf0, 0x9f, 0x98, 0x80, 0x80]],
])("what is no UTF-8 is not waited for: %s", (_what, bytes) => {
  expect(wholeEnd(Uint8Array.from(bytes), 0, bytes.length, "utf-8")).toBe(bytes.length);
});

const TEXT = "aé€😀z";
const replaced = (rig: FileRig) =>
  rig.rig.counts.get("weir_file_log_replaced_texts_total file_log") ?? 0;

/** What each file gave, put together: lines that were flushed in parts are one text again. */
function textsByFile(rig: FileRig): Map<unknown, string> {
  const texts = new Map<unknown, string>();
  for (const { body, attributes } of rig.records) {
    const name = attributes["log.file.name"];
    texts.set(name, (texts.get(name) ?? "") + String(body));
  }
  return texts;
}

test.each(["utf-8", "utf-16le", "utf-16be"] as const)(
  "%s: a file that is flushed at any byte goes on where it was, also after a restart",
  async (encoding) => {
    await using rig = await FileRig.make();
    const content = encoded(TEXT, encoding);
    const later = encoded(`\nnext${TEXT}\n`, encoding);
    const cuts = Array.from({ length: content.length - 1 }, (_, i) => i + 1);
    // A file that begins like others is first taken for a copy: their names make them differ.
    const begin = (cut: number) => encoded(`${cut}:`.padStart(4), encoding);
    const path = (cut: number) => rig.path(`${cut}.log`);
    for (const cut of cuts)
      await writeFile(path(cut), Buffer.concat([begin(cut), content.subarray(0, cut)]));
    await rig.start({ encoding });
    await expect.poll(() => textsByFile(rig).size, { timeout: 30_000 }).toBe(cuts.length);
    for (const text of textsByFile(rig).values()) expect(TEXT).toContain(text.split(":")[1]);
    await rig.restart({ encoding });
    for (const cut of cuts)
      await appendFile(path(cut), Buffer.concat([content.subarray(cut), later]));
    const whole = cuts.map((cut) => [`${cut}.log`, `${cut}:${TEXT}next${TEXT}`] as const);
    await expect.poll(() => textsByFile(rig), { timeout: 30_000 }).toEqual(new Map(whole));
    expect(replaced(rig)).toBe(0);
  },
  60_000,
);

test.each(["utf-8", "utf-16le", "utf-16be"] as const)(
  "%s: what begins at the end of a file begins with a whole character",
  async (encoding) => {
    await using rig = await FileRig.make();
    const content = encoded(`old ${TEXT}`, encoding);
    const split = content.length - encoded("z", encoding).length - 1;
    await writeFile(rig.path("a.log"), content.subarray(0, split));
    await rig.start({ encoding, start_at: "end" });
    await appendFile(rig.path("a.log"), content.subarray(split));
    await appendFile(rig.path("a.log"), encoded("\nnext\n", encoding));
    await rig.expectBodies("😀z", "next");
  },
);

test("half a character at the end of an archive, or of a file that is gone, is replaced and counted", async () => {
  await using rig = await FileRig.make();
  const half = encoded("ab", "utf-16le").subarray(0, 3);
  await writeFile(rig.path("a.log.gz"), gzipSync(half));
  await rig.start({ encoding: "utf-16le" });
  await rig.expectBodies("a\ufffd");
  expect(replaced(rig)).toBe(1);
  await writeFile(rig.path("b.log"), encoded("cd", "utf-16le").subarray(0, 3));
  await rig.expectBodies("a\ufffd", "c");
  await unlink(rig.path("b.log"));
  await rig.expectBodies("a\ufffd", "c", "\ufffd");
  expect(replaced(rig)).toBe(2);
});
