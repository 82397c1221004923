import { expect, test } from "vitest";
import { frontOf, Slabs } from "../../../src/kit/delivery/slabs.ts";
import { BodyLimit } from "../../../src/kit/server/body-limit.ts";
import { SLACK } from "../../../src/wire/slack.ts";

test("slabs are reused and bounded", () => {
  const slabs = new Slabs(100, 2);
  const first = slabs.take();
  first.length = 7;
  slabs.take();
  expect(() => slabs.take()).toThrow(/all 2 output buffers/);
  slabs.give(first);
  expect(slabs.take()).toBe(first);
  expect(first.length).toBe(0);
  slabs.abandon();
  expect(slabs.take()).not.toBe(first);
  expect(slabs.taken).toBe(2);
});

test("the front of a slab has slack and shares the memory", () => {
  const slab = new Slabs(100, 1).take();
  const front = frontOf(slab, 40);
  expect(front.bytes.length).toBe(40 + SLACK);
  expect(front.view.byteLength).toBe(40 + SLACK);
  front.bytes[3] = 9;
  expect(slab.bytes[3]).toBe(9);
  expect(frontOf(slab, 100)).toBe(slab);
});

test("the learned limit halves, has a floor, and grows back", () => {
  const limit = new BodyLimit(8_000);
  limit.tooLarge(6_000);
  expect(limit.bytes).toBe(3_000);
  limit.tooLarge(20_000);
  expect(limit.bytes).toBe(3_000);
  limit.tooLarge(10);
  expect(limit.bytes).toBe(1_024);
  for (let i = 0; i < 63; i++) limit.taken();
  expect(limit.bytes).toBe(1_024);
  for (let i = 0; i < 1 + 3 * 64; i++) limit.taken();
  expect(limit.bytes).toBe(8_000);
  const small = new BodyLimit(500);
  small.tooLarge(400);
  expect(small.bytes).toBe(500);
});
