import { writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { test } from "vitest";
import { FileRig, lines } from "./rig.ts";

const { WEIR_FUZZ = "3000" } = process.env;
const COUNT = Number(WEIR_FUZZ);

test("thousands of files: each line once, with 1,024 of them open. WEIR_FUZZ: so many", async () => {
  await using rig = await FileRig.make();
  const names = Array.from({ length: COUNT }, (_, i) => `${i}.log`);
  for (const name of names) writeFileSync(rig.path(name), lines(name, 0, 1));
  await rig.start();
  await rig.expectCount(COUNT);
  await rig.restart();
  await appendFile(rig.path("77.log"), "more\n");
  await rig.expectCount(COUNT + 1);
});
