import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";

/** Counts lines of one receiver whose own time cannot be kept. */
export function replacedTimesCounter(context: Context, transport: string): Counter {
  return context.meter.counter(
    "weir_lines_replaced_times_total",
    "Lines whose time is before 1677 or after 2262: they carry the time of their arrival.",
    { receiver: context.id, transport },
  );
}

/** Counts what names and tags of one receiver's points lose on their way into a line. */
export function lostCharactersCounter(context: Context, transport: string): Counter {
  return context.meter.counter(
    "weir_lines_lost_characters_total",
    "Control characters, and backslashes at the end, that names and tags of points lost.",
    { receiver: context.id, transport },
  );
}
