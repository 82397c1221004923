import fc from "fast-check";
import { expect, test } from "vitest";
import type { Precision } from "../../src/line/time.ts";
import { LineDoor } from "../../src/series/doors/door.ts";
import { lineShapes } from "../../src/series/doors/line-shapes.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { withSlack } from "../../src/wire/slack.ts";

const NOW = 1_705_314_600_123;
const shapes = lineShapes(shippedTables());
const makeDoor = () => new LineDoor(shapes, { precision: "auto" });
const LINES = [
  'DFF_func_call,func_id=a.b,site_name=x run_cost=1i,note="two\nlines" 1705314600',
  "m,t=1 v=1 28421910",
  "# a comment",
  "",
  "bad",
  'm s="[1/2]\\"\n\n" 5',
  'forgotten s="quote',
  "DFF_entity,entity=user count=1i 1705314600000",
];

test.each([undefined, "s", "m", "h", "ns"] as const)(
  "lines in slices are as lines in one go, times in %s",
  (precision: Precision | undefined) => {
    const bodies = fc.array(fc.constantFrom(...LINES), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(bodies, fc.integer({ min: 1, max: 200 }), (lines, size) => {
        const bytes = Buffer.from(lines.join("\n"));
        const roomy = withSlack(Uint8Array.from(bytes));
        const view = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
        const whole = makeDoor();
        const isSpread = whole.append(roomy, view, 0, bytes.length, NOW, precision);
        const sliced = makeDoor();
        sliced.begin(roomy, view, 0, bytes.length, NOW, precision);
        let slices = 1;
        while (sliced.appendSome(size)) slices++;
        expect(slices).toBeLessThanOrEqual(lines.length + 1);
        const result = sliced.finish();
        expect(result).toEqual(whole.finish());
        expect(result.hasSpread).toBe(isSpread);
      }),
    );
  },
);

test("a precision holds for its own append only", () => {
  const door = makeDoor();
  const bytes = Buffer.from("m v=1 5\n");
  const roomy = withSlack(Uint8Array.from(bytes));
  const view = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
  const timeOf = (precision?: Precision) => {
    door.append(roomy, view, 0, bytes.length, NOW, precision);
    const request = Buffer.from(door.finish().bytes);
    // time_unix_nano is field 1 of the record, fixed64: its tag is the first 0x09 in the request.
    return request.readBigUInt64LE(request.indexOf(9) + 1);
  };
  expect([timeOf("h"), timeOf("m"), timeOf("ns"), timeOf()]).toEqual([
    18_000_000_000_000n,
    300_000_000_000n,
    5n,
    5_000_000_000n,
  ]);
});
