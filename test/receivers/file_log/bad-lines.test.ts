import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { FileRig } from "./rig.ts";

const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

test("JSON lines with names twice, other types at every place, nesting and damage: each line is a record", async () => {
  await using rig = await FileRig.make();
  const odd = ["5", "[]", "{}", "true", "null", '"text"', "[[1]]", "1e999"];
  const names = ["message", "timestamp", "level", "trace_id", "span_id", "service.name", "other"];
  const places = names.flatMap((name) =>
    odd.map((value) => `{"a":1,${JSON.stringify(name)}:${value}}`),
  );
  const lines = [
    '{"message":"a","message":"b","k":1,"k":2}',
    `{"message":"deep","x":${deep}}`,
    `{"message":${deep.slice(0, 100_000)}`,
    '{"message":"cut off',
    ...places,
    '{"message":"last"}',
  ];
  await writeFile(rig.path("a.log"), `${lines.join("\n")}\n`);
  await rig.start();
  await rig.expectCount(lines.length);
  expect(rig.records[0]).toMatchObject({ body: "b", attributes: { k: "2" } });
  expect(rig.bodies.slice(1, 4)).toEqual([lines[1], lines[2], lines[3]]);
  expect(rig.bodies.at(-1)).toBe("last");
  expect(rig.rig.lost).toBe(0);
});

test("lines that are left out are said once a minute, with how many there were", async () => {
  await using rig = await FileRig.make();
  let now = Date.now();
  rig.nowMs = () => now;
  const long = "x".repeat(2_000);
  await rig.start({ max_log_size: "1kb", max_log_size_behavior: "skip" });
  const said = () => rig.rig.said.filter((text) => text.startsWith("lines were left out"));
  for (const [i, count] of [1, 4].entries()) {
    await writeFile(rig.path(`${i}.log`), `${`${long}\n`.repeat(count)}end ${i}\n`);
    await rig.expectCount(i + 1);
  }
  now += 60_000;
  await writeFile(rig.path("2.log"), `${long}\nend 2\n`);
  await rig.expectCount(3);
  expect([rig.rig.lost, said().length]).toEqual([6, 2]);
  expect(said().map((text) => /":(\d+)/.exec(text)?.[1])).toEqual(["1", "5"]);
});
