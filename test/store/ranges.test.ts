import fc from "fast-check";
import { expect, test } from "vitest";
import { type ItemRange, MAX_INTERVALS, parseRange, StoredRanges } from "../../src/store/ranges.ts";

const range = (text: string): ItemRange => {
  const parsed = parseRange(`j/r/${text}`);
  if (parsed === undefined) throw new Error(`not a range: ${text}`);
  return parsed;
};

test("a header is read; the route may have slashes", () => {
  expect(parseRange("4f2a/influxdb/eu/logs/7.0-9.12")).toEqual({
    journal: "4f2a",
    route: "influxdb/eu/logs",
    firstSeq: 7,
    firstItem: 0,
    lastSeq: 9,
    lastItem: 12,
  });
});

test.each([
  "",
  "j/r/1.0",
  "j/1.0-1.1",
  "j/r/1.0-1.1 ",
  "j/r/1.5-1.4",
  "j/r/2.0-1.9",
  "j/r/-1.0-1.1",
  "j/r/9999999999999999.0-9999999999999999.1",
  "j//1.0-1.1",
])("%j is not a range", (text) => {
  expect(parseRange(text)).toBeUndefined();
});

test("any text is read or refused, never thrown at", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const parsed = parseRange(text);
      expect(parsed === undefined || text.startsWith(`${parsed.journal}/${parsed.route}/`)).toBe(
        true,
      );
    }),
  );
});

test("an item is stored exactly when some range brought it (against a plain set)", () => {
  const ITEMS = 5;
  // Positions on a line of frames of five items each.
  const spot = fc.tuple(fc.nat(30), fc.nat(12));
  fc.assert(
    fc.property(fc.array(spot, { maxLength: 30 }), spot, (added, asked) => {
      const ranges = new StoredRanges();
      const brought: Set<number>[] = [];
      const cut = ([from, length]: readonly [number, number]) => {
        const to = from + length;
        const text = `${Math.floor(from / ITEMS)}.${from % ITEMS}-${Math.floor(to / ITEMS)}.${to % ITEMS}`;
        return {
          range: range(text),
          items: Array.from({ length: length + 1 }, (_, i) => from + i),
        };
      };
      for (const one of added) {
        const { range: it, items } = cut(one);
        ranges.add(it);
        brought.push(new Set(items));
        expect(ranges.has(it)).toBe(true);
      }
      const { range: it, items } = cut(asked);
      // What is not known as stored may be stored (frames' lengths are not known); what is known as stored must be.
      if (ranges.has(it))
        for (const item of items) expect(brought.some((set) => set.has(item))).toBe(true);
    }),
  );
});

test("neighbours inside a frame fall together, and what lies over several takes them in", () => {
  const ranges = new StoredRanges();
  ranges.add(range("1.0-1.4"));
  ranges.add(range("1.5-1.9"));
  expect(ranges.count("j", "r")).toBe(1);
  ranges.add(range("3.0-3.1"));
  expect(ranges.count("j", "r")).toBe(2);
  ranges.add(range("1.2-4.0"));
  expect(ranges.count("j", "r")).toBe(1);
  expect(ranges.has(range("1.0-4.0"))).toBe(true);
  expect(ranges.has(range("1.0-4.1"))).toBe(false);
  expect(ranges.count("j", "other")).toBe(0);
});

test("the number of intervals is bounded: the oldest are forgotten", () => {
  const ranges = new StoredRanges();
  for (let n = 0; n < MAX_INTERVALS + 10; n++) ranges.add(range(`${n * 2}.0-${n * 2}.3`));
  expect(ranges.count("j", "r")).toBe(MAX_INTERVALS);
  expect(ranges.has(range("0.0-0.3"))).toBe(false);
  expect(ranges.has(range(`${(MAX_INTERVALS + 9) * 2}.0-${(MAX_INTERVALS + 9) * 2}.3`))).toBe(true);
});
