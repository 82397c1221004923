import { encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { createBudget } from "../../../src/kit/budget.ts";
import { UNKNOWN_LEASE_BYTES } from "../../../src/kit/server/growing-body.ts";
import { framesOf } from "../../../src/receivers/fluent_forward/frames.ts";
import { Inbox } from "../../../src/receivers/fluent_forward/inbox.ts";

const LIMIT = 16 << 20;
const numbers = Array.from({ length: 200_000 }, (_, n) => n & 63);
/** Many small values, so that whoever looks at them anew after each read does not come to an end. */
const MESSAGES = {
  "MessagePack of small values": encode(["t", 1, { numbers, map: { a: [1, [2]], b: "c" } }]),
  "MessagePack of one large value": encode(["t", 1, { log: "x".repeat(1 << 20) }]),
  "packed MessagePack": encode(["t", Buffer.alloc(1 << 20), { chunk: "a" }]),
  JSON: Buffer.from(JSON.stringify(["t", 1, { numbers, text: '"[\\' }])),
};

test.each(Object.entries(MESSAGES))("%s, byte by byte: every byte costs once", (what, message) => {
  const budget = createBudget(64 << 20);
  const lease = budget.take(UNKNOWN_LEASE_BYTES);
  const inbox = new Inbox(lease, LIMIT, framesOf(what === "JSON"), 0);
  for (let at = 0; at < message.length; at++) {
    if (at % 1_000 === 0) expect(inbox.next()).toBeUndefined();
    inbox.add(message.subarray(at, at + 1));
    if (at < message.length - 1 && inbox.next() !== undefined) expect.unreachable();
  }
  expect(inbox.next()).toEqual({ from: 0, to: message.length });
  expect(inbox.unread).toBe(0);
  // Memory grows with what has arrived, and is leased before it is there.
  expect(budget.used).toBeGreaterThanOrEqual(message.length);
  expect(budget.used).toBeLessThanOrEqual(2 * message.length + UNKNOWN_LEASE_BYTES);
  inbox[Symbol.dispose]();
  expect(budget.used).toBe(0);
});

test("a list of four billion elements is awaited, not made room for", () => {
  const budget = createBudget(1 << 20);
  const inbox = new Inbox(budget.take(UNKNOWN_LEASE_BYTES), LIMIT, framesOf(false), 0);
  inbox.add(
    Uint8Array.of(0x93, 0xa1, 0x74, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff),
  );
  expect(inbox.next()).toBeUndefined();
  expect(budget.used).toBe(UNKNOWN_LEASE_BYTES);
  inbox[Symbol.dispose]();
});

test("without room in the budget nothing is added", () => {
  const budget = createBudget(100_000);
  const inbox = new Inbox(budget.take(UNKNOWN_LEASE_BYTES), LIMIT, framesOf(false), 0);
  expect(inbox.add(new Uint8Array(60_000))).toBe(true);
  expect(inbox.add(new Uint8Array(60_000))).toBe(false);
  expect([inbox.unread, budget.used]).toEqual([60_000, UNKNOWN_LEASE_BYTES]);
  inbox[Symbol.dispose]();
});
