import { rename, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { LogsJson } from "../../../src/receivers/file_log/logs-json.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { FileRig } from "./rig.ts";

const MIB = 1 << 20;
const entries = (count: number, pad: string) =>
  Array.from({ length: count }, (_, i) => ({
    message: `${i} ${pad}`,
    timestamp: new Date(1_705_314_600_000 + i).toISOString(),
  }));

/** Written as the logger does: another file that takes the name. */
async function write(rig: FileRig, content: string | Uint8Array): Promise<void> {
  await writeFile(rig.path("next"), content);
  await rename(rig.path("next"), rig.path("logs.json"));
}

function options(rig: FileRig, more: object = {}) {
  return { include: [rig.path("logs.json")], format: "logs_json", ...more };
}

test("a large file is taken in parts, in the order of time, and what was taken is not taken again", async () => {
  await using rig = await FileRig.make();
  const all = entries(12_000, "x".repeat(200));
  const [odd, even] = [all.filter((_, i) => i % 2 === 1), all.filter((_, i) => i % 2 === 0)];
  await write(rig, JSON.stringify({ error: odd, info: even }));
  await rig.start(options(rig));
  await rig.expectCount(12_000);
  const { batches } = rig.rig;
  expect(batches.length).toBeGreaterThan(2);
  expect(Math.max(...batches.map(({ length }) => length))).toBeLessThan(1.1 * MIB);
  expect(rig.bodies).toEqual(all.map(({ message }) => message));
  const later = { message: "later", timestamp: "2024-01-16T00:00:00Z" };
  await write(rig, JSON.stringify({ error: odd, info: [...even, later] }));
  await rig.expectCount(12_001);
  await rig.restart(options(rig));
  await rig.expectCount(12_001);
});

test("a part that is refused comes again; one that no queue takes comes in smaller parts", async () => {
  await using rig = await FileRig.make();
  rig.refusals.push("refused", "unavailable");
  rig.queueBytes = 20_000;
  const all = entries(2_000, "y".repeat(50));
  await write(rig, JSON.stringify({ info: all }));
  await rig.start(options(rig));
  await rig.expectBodies(...all.map(({ message }) => message));
});

test.each([
  ["no JSON", "no JSON at all"],
  ["a list", "[1,2]"],
  ["nothing closed", '{"error":[{"message":"a"}'],
  ["more behind it", '{"error":[]} {"info":[]}'],
  ["nested without an end", `{"other":${"[".repeat(100_000)}`],
])("%s is said, takes nothing, and is no reason to look away", async (_, content) => {
  await using rig = await FileRig.make();
  await write(rig, content);
  await rig.start(options(rig));
  await expect.poll(() => rig.rig.said.join()).toMatch(/logs\.json.* at byte/);
  expect(rig.rig.items).toBe(0);
  await write(rig, JSON.stringify({ info: entries(1, "better") }));
  await rig.expectBodies("0 better");
});

test("entries that are no objects, empty ones, other lists and bytes that are no UTF-8", async () => {
  await using rig = await FileRig.make();
  const text =
    '\ufeff{"info":["plain",{},17,{"level":"fatal","message":"own"}],"other":[1],"debug":3}';
  await write(
    rig,
    Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"warn":["a\xe9"]}', "latin1")]),
  );
  await rig.start(options(rig));
  await rig.expectCount(5);
  expect(rig.records.map(({ body, severity }) => [body, severity])).toEqual([
    ["a\ufffd", "warn"],
    ["plain", "info"],
    [undefined, "info"],
    ["17", "info"],
    ["own", "fatal"],
  ]);
  expect(rig.rig.counts.get("weir_file_log_replaced_texts_total file_log")).toBe(1);
});

test("start_at: end leaves out what is there, and takes what comes", async () => {
  await using rig = await FileRig.make();
  const old = entries(3, "old");
  await write(rig, JSON.stringify({ error: [], debug: old, info: old }, null, 2));
  await rig.start(options(rig, { start_at: "end" }));
  const later = { message: "later", timestamp: "2024-01-16T00:00:00Z" };
  await write(rig, JSON.stringify({ error: [later], debug: old, info: [...old, later] }, null, 2));
  await rig.expectBodies("later", "later");
});

test("looking through it pauses, whatever the file is made of", () => {
  const scalars = `{${'"a":1,'.repeat(300_000)}"b":2}`;
  const lists = `{${'"error":[],'.repeat(150_000)}"b":2}`;
  const whole = JSON.stringify({ info: entries(20_000, "x".repeat(60)) });
  for (const content of [scalars, lists, whole]) {
    const bytes = withSlack(Buffer.from(content));
    const logs = new LogsJson(bytes, content.length, {});
    let steps = 1;
    while (logs.step()) steps++;
    expect(logs.problem).toBe("");
    expect(steps).toBeGreaterThan(5);
  }
});

test("a file above 16 MiB is said, and not read", async () => {
  await using rig = await FileRig.make();
  await write(rig, JSON.stringify({ info: ["z".repeat(16 * MIB)] }));
  await rig.start(options(rig));
  await expect.poll(() => rig.rig.said.join()).toContain("at most 16777216");
  expect(rig.rig.items).toBe(0);
});
