import { appendFile, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { FileRig, lines } from "./rig.ts";

test("a fingerprint that is made smaller or larger is no reason to read a file again", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), lines("a", 0, 100));
  await rig.start();
  await rig.expectCount(100);
  for (const [n, size] of [
    ["one", "64"],
    ["two", "2kb"],
    ["three", "16"],
  ] as const) {
    await rig.restart({ fingerprint_size: size });
    await appendFile(rig.path("a.log"), `${n}\n`);
    await rig.expectCount(101 + ["one", "two", "three"].indexOf(n));
  }
  expect(rig.bodies.slice(100)).toEqual(["one", "two", "three"]);
});
