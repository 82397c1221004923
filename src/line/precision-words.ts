import type { Precision } from "./time.ts";

/** Units of times as InfluxDB 3 spells them in `precision`. */
export const V3_PRECISIONS: ReadonlyMap<string, Precision> = new Map([
  ["auto", "auto"],
  ["nanosecond", "ns"],
  ["ns", "ns"],
  ["n", "ns"],
  ["microsecond", "us"],
  ["us", "us"],
  ["u", "us"],
  ["millisecond", "ms"],
  ["ms", "ms"],
  ["second", "s"],
  ["s", "s"],
]);

/** As InfluxDB 2 spells them. */
export const V2_PRECISIONS: ReadonlyMap<string, Precision> = new Map([
  ["ns", "ns"],
  ["us", "us"],
  ["ms", "ms"],
  ["s", "s"],
]);

/** As InfluxDB 1 spells them; an empty one is none. */
export const V1_PRECISIONS: ReadonlyMap<string, Precision> = new Map([
  ["", "ns"],
  ["n", "ns"],
  ["ns", "ns"],
  ["u", "us"],
  ["us", "us"],
  ["µ", "us"],
  ["ms", "ms"],
  ["s", "s"],
  ["m", "m"],
  ["h", "h"],
]);
