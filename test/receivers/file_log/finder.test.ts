import { writeFile } from "node:fs/promises";
import { basename, relative } from "node:path";
import { expect, test } from "vitest";
import { Finder } from "../../../src/receivers/file_log/finder.ts";
import { fileLog } from "../../../src/receivers/file_log/index.ts";
import { FileRig } from "./rig.ts";

test("what is excluded is left out however its path is written: from here, whole, or anywhere", async () => {
  await using rig = await FileRig.make();
  for (const name of ["a", "b", "c", "d", "e"]) await writeFile(rig.path(`${name}.log`), "");
  const here = (name: string) => relative(process.cwd(), rig.path(name));
  const exclude = [`./${here("a.log")}`, here("b.l*"), rig.path("c.log"), "**/d.log"];
  for (const include of [`./${here("*.log")}`, here("*.log"), rig.path("*.log")]) {
    const config = fileLog.schema.parse({ include: [include], exclude });
    const found = await new Finder(config, () => {}).find();
    expect(found.map(({ path }) => basename(path))).toEqual(["e.log"]);
  }
});
