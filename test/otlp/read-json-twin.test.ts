import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { plainLogs, plainMetrics, plainSpans } from "../../bench/payloads.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { JsonReader } from "../../src/otlp/read-json.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { SLACK } from "../../src/wire/slack.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";
import { anyForm, seeded } from "./json-forms.ts";
import { arbitraryRequest } from "./requests.ts";
import { isSame, slowRead } from "./slow-json.ts";

/** Its windows are so small that most values do not fit. */
const reader = new JsonReader(40);
const indexer = createIndexer();
const ROOM = { grow: () => true };

/** The text in memory where what follows looks like more of it. */
function memoryOf(text: string): { bytes: Uint8Array; length: number } {
  const content = new TextEncoder().encode(text);
  const bytes = new Uint8Array(content.length + SLACK).fill(0x22);
  bytes.set(content);
  return { bytes, length: content.length };
}

async function outcome(signal: Signal, text: string, isSlow: boolean) {
  const { bytes, length } = memoryOf(text);
  const read = isSlow
    ? await reader.readSlowly(signal, bytes, length, ROOM)
    : reader.read(signal, bytes, length);
  if ("refused" in read) throw new Error(`${read.why}\n${text}`);
  expect(bytes.subarray(length)).toEqual(new Uint8Array(SLACK).fill(0x22));
  return { ...read, hex: Buffer.from(read.bytes.subarray(0, read.length)).toString("hex") };
}

test("every form of a request becomes the bytes that protobufjs makes of it, and the indexer takes them as they are", async () => {
  let exact = 0;
  await fc.assert(
    fc.asyncProperty(arbitraryRequest, fc.nat(), async ({ signal, request }, seed) => {
      const text = anyForm(signal, request, seeded(seed));
      const slow = slowRead(signal, new TextEncoder().encode(text));
      if (slow === "malformed") throw new Error(`the twin refuses ${text}`);
      expect(slow.rejected).toBe(0);
      const fast = await outcome(signal, text, false);
      expect(fast.rejected).toBe(0);
      if (!slow.hasEmptyKey) exact++;
      if (!isSame(signal, fast.bytes.subarray(0, fast.length), slow))
        expect(fast.hex).toBe(Buffer.from(slow.bytes).toString("hex"));
      expect((await outcome(signal, text, true)).hex).toBe(fast.hex);
      const indexed = indexer.index(signal, fast.bytes, fast.length);
      if ("refused" in indexed) throw new Error(indexed.why);
      expect([indexed.batch.bytes === fast.bytes, indexed.rejected]).toEqual([true, 0]);
    }),
    { numRuns: 150 },
  );
  expect(exact).toBeGreaterThan(25);
});

test.each([
  ["logs", plainLogs(300)],
  ["traces", plainSpans(300)],
  ["metrics", plainMetrics(300)],
] as const)(
  "what a sender of %s writes becomes what it would send as protobuf",
  async (signal, bytes) => {
    const text = JSON.stringify(decodeRequest(signal, bytes));
    const expected = Buffer.from(encodeRequest(signal, decodeRequest(signal, bytes))).toString(
      "hex",
    );
    expect((await outcome(signal, text, false)).hex).toBe(expected);
    expect((await outcome(signal, text, true)).hex).toBe(expected);
  },
);

/** Requests per run, each damaged some ten times; WEIR_FUZZ asks for more. */
const ROUNDS = Number(process.env["WEIR_FUZZ"] ?? 70);
const KILL_AFTER_MS = 200_000 + ROUNDS * 50;
const child = fileURLToPath(new URL("json-fuzz-child.ts", import.meta.url));

test(
  "the reader judges damaged JSON as its slow twin does, and never hangs",
  async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [child, process.env["WEIR_SEED"] ?? "7", String(ROUNDS)],
      { timeout: KILL_AFTER_MS, killSignal: "SIGKILL", maxBuffer: 1 << 28 },
    );
    const { tally, failures } = JSON.parse(stdout);
    expect(failures).toEqual([]);
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(8);
  },
  KILL_AFTER_MS + 5000,
);
