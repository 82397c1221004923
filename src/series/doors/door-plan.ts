import { NameMap } from "../../line/name-map.ts";
import { OTHER_ID_NAMES } from "./door-ids.ts";
import { Column, type Levels } from "./door-record.ts";
import type { LineShape } from "./line-shapes.ts";

/** A shape as the door looks names up in it. */
export interface DoorPlan {
  readonly columns: NameMap;
  readonly levels: Levels | undefined;
  readonly spread: boolean;
  /** Its rows have columns for the ids of the record. */
  readonly hasIds: boolean;
}

/** Of no shape: what holds for the lines of every measurement. */
export function planOf(shape: LineShape | undefined): DoorPlan {
  const codes = new Map<string, number>();
  const mark = (name: string, code: number) => codes.set(name, (codes.get(name) ?? 0) | code);
  for (const tag of shape?.tags ?? []) mark(tag, Column.tag);
  if (shape?.body !== undefined) mark(shape.body, Column.body);
  const severity = shape?.severity;
  if (severity !== undefined) mark(severity.column, Column.severity);
  if (severity?.from !== undefined) mark(severity.from.column, Column.derived);
  mark(shape?.service ?? "service", Column.service);
  mark("site_name", Column.site);
  const hasIds = shape?.fields.has("trace_id") === true;
  // A tag of the name is the column, too, and so no undeclared one.
  mark("trace_id", Column.trace | (hasIds ? Column.tag : 0));
  mark("span_id", Column.span | (hasIds ? Column.tag : 0));
  for (const name of OTHER_ID_NAMES) mark(name, Column.otherId);
  return {
    columns: new NameMap(codes),
    levels: severity && {
      own: new NameMap(severity.levels),
      anyCase: severity.anyCase ?? false,
      derived: severity.from && new NameMap(severity.from.levels),
      rest: severity.from?.rest ?? 0,
    },
    spread: shape?.spread ?? false,
    hasIds,
  };
}
