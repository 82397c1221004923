import { expect, test } from "vitest";
import { Rest } from "../../src/lambda/rest.ts";

const MIB = 1 << 20;

test("collects when the heap has grown by 5 MiB since the last time, and no earlier", () => {
  let used = 10 * MIB;
  let collected = 0;
  const rest = new Rest({
    usedBytes: () => used,
    collect() {
      collected++;
      used = 12 * MIB;
    },
  });
  used = 15 * MIB - 1;
  rest.take();
  expect(collected).toBe(0);
  used = 15 * MIB;
  rest.take();
  expect(collected).toBe(1);
  // What is left is not garbage: it is no reason to look for some again.
  used = 17 * MIB - 1;
  rest.take();
  expect(collected).toBe(1);
});

test("a process whose garbage cannot be collected by hand goes on", () => {
  const rest = new Rest();
  const held = Array.from({ length: 200_000 }, (_, n) => ({ n }));
  expect(() => rest.take()).not.toThrow();
  expect(held).toHaveLength(200_000);
});
