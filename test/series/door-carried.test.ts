import { expect, test } from "vitest";
import { describeProblem } from "../../src/line/problems.ts";
import { LineDoor } from "../../src/series/doors/door.ts";
import { lineShapes } from "../../src/series/doors/line-shapes.ts";
import { NO_ATTRIBUTE, resourceAttribute } from "../../src/series/resource-attribute.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { decodeRequest } from "../support/otlp.ts";

const SHAPES = lineShapes(shippedTables());

function append(door: LineDoor, text: string): void {
  const bytes = withSlack(Buffer.from(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  door.append(bytes, view, 0, Buffer.byteLength(text), 1_705_314_600_123);
}

/** Attributes of each resource, as text, and the records under it. */
function resources(door: LineDoor) {
  const { bytes, length } = door.finish();
  const { resourceLogs = [] } = decodeRequest("logs", bytes.subarray(0, length)) as {
    resourceLogs?: {
      resource?: { attributes: { key: string; value: { stringValue: string } }[] };
      scopeLogs: { logRecords: unknown[] }[];
    }[];
  };
  return resourceLogs.map(({ resource, scopeLogs }) => [
    (resource?.attributes ?? []).map(({ key, value }) => `${key}=${value.stringValue}`).join(),
    scopeLogs.reduce((sum, { logRecords }) => sum + logRecords.length, 0),
  ]);
}

test("an attribute is carried by every resource, with and without a service", () => {
  const door = new LineDoor(SHAPES, { precision: "auto" });
  const database = "d".repeat(500);
  door.carry(resourceAttribute("influxdb.database", database));
  append(door, "m,service=a v=1\nm,service=a v=2\nm v=3\nm v=4\nm,service=b v=5");
  expect(resources(door)).toEqual([
    [`service.name=a,influxdb.database=${database}`, 2],
    [`influxdb.database=${database}`, 2],
    [`service.name=b,influxdb.database=${database}`, 1],
  ]);
  door.carry(resourceAttribute("ключ", "значение"));
  append(door, "m v=1");
  expect(resources(door)).toEqual([["ключ=значение", 1]]);
  door.carry(NO_ATTRIBUTE);
  append(door, "m v=1");
  expect(resources(door)).toEqual([["", 1]]);
});

test("bad lines are told one by one, numbered without comments and blank lines", () => {
  const seen: string[] = [];
  const text = '# c\nm v=1\n\nbad\nm s="a\nb"\nm v=\n m,t= v=1';
  const door = new LineDoor(SHAPES, {
    precision: "auto",
    onBadLine: ({ problem, lineAt, lineEnd }, number) =>
      seen.push(`${number} ${text.slice(lineAt, lineEnd)}: ${describeProblem(problem)}`),
  });
  append(door, text);
  expect(seen).toEqual([
    expect.stringMatching(/^2 bad: expected a space/),
    expect.stringMatching(/^4 m v=: expected a field value/),
    expect.stringMatching(/^5 m,t= v=1: expected a tag value/),
  ]);
  const { items, badLines } = door.finish();
  expect([items, badLines]).toEqual([2, 3]);
});
