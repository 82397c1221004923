import { JsonPoints } from "../../src/kit/doors/json-points.ts";
import { looksLikeJson } from "../../src/kit/doors/json-values.ts";
import type { Precision } from "../../src/line/time.ts";
import { LineDoor } from "../../src/series/doors/door.ts";
import { lineShapes } from "../../src/series/doors/line-shapes.ts";
import type { Table } from "../../src/series/tables/tables.ts";
import { withSlack } from "../../src/wire/slack.ts";

/** Turns one datagram, lines or JSON points, into the OTLP request that the line_protocol receiver makes of it. */
export function lineDoor(tables: readonly Table[], precision: Precision = "auto") {
  const door = new LineDoor(lineShapes(tables), { precision });
  const json = new JsonPoints();
  return (text: string | Uint8Array, arrivalMs: number): Uint8Array => {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const roomy = withSlack(Uint8Array.from(bytes));
    const view = new DataView(roomy.buffer, roomy.byteOffset, roomy.byteLength);
    if (looksLikeJson(roomy, 0, bytes.length)) {
      json.read(roomy, view, 0, bytes.length);
      door.append(json.bytes, json.view, 0, json.length, arrivalMs, "ns");
    } else door.append(roomy, view, 0, bytes.length, arrivalMs);
    const result = door.finish();
    return result.bytes.subarray(0, result.length);
  };
}
