import { expect, test } from "vitest";
import { Exporting } from "../../../src/kit/doors/exporting.ts";
import { BodyLines, LineRequests } from "../../../src/kit/doors/line-requests.ts";
import { PipelineError } from "../../../src/otlp/status.ts";
import { LineDoor } from "../../../src/series/doors/door.ts";
import { lineShapes } from "../../../src/series/doors/line-shapes.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const SHAPES = lineShapes(shippedTables());
const PLAIN =
  'm,tag=some-value-of-a-tag field=1i,text="some text of usual length" 1705314600000000000';
const SPREAD = "DFF_func_call,func_id=f,status=ok run_cost=1i 1705314600000000000";

/** Takes a body, and tells of each submission how many items its batches have. */
async function take(body: string, rig = new ReceiverRig("lines")) {
  const { intake } = rig;
  const submissions: number[][] = [];
  const telling = {
    ...intake,
    signals: intake.signals,
    submit: async (...given: Parameters<typeof intake.submit>) => {
      submissions.push(given[0].map(({ items }) => items));
      await intake.submit(...given);
    },
  };
  const exporting = new Exporting(rig.context, telling, "http");
  const requests = new LineRequests(
    rig.context,
    telling,
    exporting,
    (onBadLine) => new LineDoor(SHAPES, { precision: "ns", onBadLine }),
  );
  const length = Buffer.byteLength(body);
  const bytes = withSlack(Buffer.from(body));
  const source = new BodyLines(length, (door) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    door.begin(bytes, view, 0, length, 1_705_314_600_123);
  });
  const numbers: number[] = [];
  const lease = rig.budget.take(length);
  if (lease === undefined) throw new Error("no lease");
  using _lease = lease;
  const onBadLine = (_line: unknown, number: number) => void numbers.push(number);
  const taken = await requests.take(source, lease, { onBadLine });
  return { rig, taken, submissions, numbers };
}

test("a large request is parted and submitted at once; its bad lines are numbered through", async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => (i % 10_000 === 9_999 ? "bad" : PLAIN));
  const { taken, submissions, numbers, rig } = await take(lines.join("\n"));
  expect([taken.items, taken.bad]).toEqual([29_997, 3]);
  expect(numbers).toEqual([10_000, 20_000, 30_000]);
  expect(taken.firstBad).toMatch(/^line 10000, /);
  expect(submissions).toHaveLength(1);
  const [parts = []] = submissions;
  expect(parts.length).toBeGreaterThan(3);
  expect(parts.reduce((sum, items) => sum + items, 0)).toBe(29_997);
  for (const { length } of rig.batches) expect(length).toBeLessThan(1 << 20);
  expect(rig.budget.used).toBe(0);
});

test("behind a line whose table tells rows apart, nothing is parted", async () => {
  const lines = [
    ...Array.from({ length: 10_000 }, () => PLAIN),
    ...Array.from({ length: 20_000 }, () => SPREAD),
    ...Array.from({ length: 5_000 }, () => PLAIN),
  ];
  const { submissions } = await take(lines.join("\n"));
  expect(submissions).toHaveLength(1);
  const [parts = []] = submissions;
  expect(parts.length).toBeGreaterThan(1);
  expect(parts.at(-1)).toBeGreaterThanOrEqual(25_000);
  expect(parts.reduce((sum, items) => sum + items, 0)).toBe(35_000);
});

test("a part that has no room leaves nothing behind", async () => {
  const rig = new ReceiverRig("lines");
  const body = `${PLAIN}\n`.repeat(30_000);
  using taken = rig.budget.take(rig.budget.limit - body.length - (1 << 20));
  const before = taken?.bytes;
  await expect(take(body, rig)).rejects.toThrow(PipelineError);
  expect([rig.items, rig.budget.used]).toEqual([0, before]);
});
