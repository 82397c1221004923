import { appendFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test, vi } from "vitest";
import { until } from "../../support/until.ts";
import { FileRig, lines } from "./rig.ts";

/** Longer than an archive that is cut off is taken for one that is being written. */
const LATER_MS = 20_000;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Moves the monotonic clock. */
function clock() {
  const real = performance.now.bind(performance);
  let aheadMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => real() + aheadMs);
  return (ms: number) => {
    aheadMs += ms;
  };
}

/** Waits until a file that is new now was found and read: what was due before has been looked at by then. */
async function look(rig: FileRig, name: string): Promise<void> {
  await writeFile(rig.path(`${name}.log`), `${name}\n`);
  await until(() => rig.bodies.includes(name));
}

const troubles = (rig: FileRig) => rig.rig.said.filter((text) => text.includes("cannot be read"));

test("an archive that stays cut off is said once, and unpacked again only when it changes", async () => {
  await using rig = await FileRig.make();
  const pass = clock();
  // Whatever is said is said at once.
  rig.nowMs = () => Date.now() + 100_000 * troubles(rig).length;
  const whole = gzipSync(lines("z", 0, 500));
  await writeFile(rig.path("z.log.gz"), whole.subarray(0, -9));
  await rig.start();
  await look(rig, "first");
  pass(LATER_MS);
  await until(() => troubles(rig).length > 0);
  for (const name of ["second", "third"]) {
    pass(LATER_MS);
    await look(rig, name);
  }
  expect(troubles(rig)).toHaveLength(1);
  expect(troubles(rig)[0]).toContain(
    "z.log.gz: unexpected end of file (tried again when it changes)",
  );
  await appendFile(rig.path("z.log.gz"), whole.subarray(-9));
  await until(() => rig.bodies.filter((body) => String(body).startsWith("z")).length === 500);
});

test("an archive without a byte is no trouble, and read when it has some, also with start_at: end", async () => {
  await using rig = await FileRig.make();
  const pass = clock();
  await writeFile(rig.path("z.log.gz"), "");
  await rig.start({ start_at: "end" });
  await look(rig, "first");
  pass(LATER_MS);
  await look(rig, "second");
  await writeFile(rig.path("z.log.gz"), gzipSync("packed\n"));
  await until(() => rig.bodies.includes("packed"));
  expect(troubles(rig)).toEqual([]);
});
