import { expect, test } from "vitest";
import { Exporting } from "../../../src/kit/doors/exporting.ts";
import {
  BodyLines,
  LineRequests,
  type LineSource,
  type LineVerdict,
} from "../../../src/kit/doors/line-requests.ts";
import { isRefusal } from "../../../src/otlp/status.ts";
import type { Lease } from "../../../src/pipeline/contracts.ts";
import { LineDoor } from "../../../src/series/doors/door.ts";
import { resourceAttribute } from "../../../src/series/resource-attribute.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const GOOD = "m,t=a v=1i 1705314600000000000";

function setUp() {
  const rig = new ReceiverRig("r");
  const exporting = new Exporting(rig.context, rig.intake, "http");
  const requests = new LineRequests(
    rig.context,
    rig.intake,
    exporting,
    (onBadLine) => new LineDoor([], { precision: "auto", onBadLine }),
  );
  const lease = (bytes: number): Lease => {
    const taken = exporting.admit("logs", bytes);
    if (isRefusal(taken)) throw new Error(taken.why);
    return taken;
  };
  return { rig, requests, lease };
}

function linesOf(text: string): BodyLines {
  const bytes = withSlack(Buffer.from(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = Buffer.from(text);
  return new BodyLines(length, (door) => door.begin(bytes, view, 0, length, 0));
}

test.each<[string, string, LineVerdict | undefined, readonly [number, number, string]]>([
  ["good", GOOD, undefined, [1, 0, "accepted"]],
  ["good and bad", `${GOOD}\nbad`, undefined, [1, 1, "partial"]],
  ["good and bad, kept", `${GOOD}\nbad`, "keep", [1, 1, "partial"]],
  ["good and bad, refused", `${GOOD}\nbad`, "refuse", [0, 2, "invalid"]],
  ["good and bad, forgotten", `${GOOD}\nbad`, "forget", [0, 0, "invalid"]],
  ["good, forgotten", GOOD, "forget", [0, 0, "accepted"]],
  ["bad", "bad\nbad", undefined, [0, 2, "invalid"]],
  ["nothing", "# a comment\n", undefined, [0, 0, "accepted"]],
  ["nothing, refused", "", "refuse", [0, 0, "invalid"]],
])("%s: what is stored, what is counted", async (_what, text, verdict, [items, lost, outcome]) => {
  const { rig, requests, lease } = setUp();
  using held = lease(100);
  const taken = await requests.take(linesOf(text), held, {
    ...(verdict !== undefined && { decide: () => verdict }),
  });
  const good = text.split("\n").filter((line) => line === GOOD).length;
  expect(taken.items).toBe(good);
  expect([rig.items, rig.lost, rig.outcome(outcome)]).toEqual([items, lost, 1]);
});

test("large requests go in slices: others have their turn, and each keeps what is its own", async () => {
  const { rig, requests, lease } = setUp();
  const numbers: number[] = [];
  const large = Array.from({ length: 40_000 }, (_, i) => (i % 10_000 === 7 ? "bad" : GOOD));
  using first = lease(100);
  using second = lease(100);
  const slow = requests.take(linesOf(large.join("\n")), first, {
    carried: resourceAttribute("from", "large"),
    onBadLine: (_line, number) => void numbers.push(number),
  });
  const quick = await requests.take(linesOf(`${GOOD}\nbad`), second);
  expect(rig.batches.map((batch) => batch.items)).toEqual([1]);
  const { items, bad } = await slow;
  expect([items, bad, quick.items, quick.bad]).toEqual([39_996, 4, 1, 1]);
  expect(numbers).toEqual([8, 10_008, 20_008, 30_008]);
  expect(first.bytes).toBeGreaterThan(large.length * GOOD.length);
  const resources = new Set(rig.records().map(({ resource }) => JSON.stringify(resource)));
  expect(resources).toEqual(new Set(["{}", '{"from":"large"}']));
});

test.each([1_000, 40_000])("%i lines that find no memory leave nothing behind", async (lines) => {
  const { rig, requests, lease } = setUp();
  const text = Array.from({ length: lines }, () => GOOD).join("\n");
  const held = lease(100);
  const full = { ...held, grow: () => false, isBeyondBudget: false } as Lease;
  await expect(requests.take(linesOf(text), full)).rejects.toMatchObject({ kind: "refused" });
  held[Symbol.dispose]();
  using again = lease(100);
  await requests.take(linesOf(GOOD), again);
  expect([rig.items, rig.lost]).toEqual([1, 0]);
});

test("a source that breaks leaves nothing of its request to the next one", async () => {
  const { rig, requests, lease } = setUp();
  const broken: LineSource = {
    bytes: 10,
    bad: 0,
    firstBad: "",
    replacedTimes: 0,
    lostCharacters: 0,
    fill: (door) => {
      linesOf(GOOD).fill(door, Number.POSITIVE_INFINITY);
      throw new Error("broken");
    },
  };
  using held = lease(100);
  await expect(requests.take(broken, held)).rejects.toThrow("broken");
  await requests.take(linesOf(GOOD), held);
  expect(rig.items).toBe(1);
});
