/** Why a line was not read. Zero is no problem. */
export const Problem = {
  none: 0,
  measurement: 1,
  tagKey: 2,
  tagValue: 3,
  noFields: 4,
  fieldKey: 5,
  fieldValue: 6,
  number: 7,
  range: 8,
  quote: 9,
  afterField: 10,
  time: 11,
  timeRange: 12,
  utf8: 13,
  duplicateTag: 14,
  tooLong: 15,
  tooMany: 16,
} as const;
export type Problem = (typeof Problem)[keyof typeof Problem];

/** Longest measurement, key, tag value or unquoted value, in bytes (InfluxDB's limit for series keys). */
export const NAME_MAX = 65_536;
/** Longest quoted string or list, in bytes (InfluxDB 3's limit). */
export const STRING_MAX = 1 << 20;
/** Most tags and fields of one line together. */
export const PAIRS_MAX = 10_000;

const SENTENCES: Readonly<Record<Problem, string>> = {
  [Problem.none]: "no problem",
  [Problem.measurement]: "expected a measurement name, then a comma or a space",
  [Problem.tagKey]: 'expected a tag key and "=" (control characters are not allowed in names)',
  [Problem.tagValue]: "expected a tag value; an empty one is not allowed: leave the tag out",
  [Problem.noFields]: "expected a space and at least one field after the measurement and tags",
  [Problem.fieldKey]: 'expected a field key and "="',
  [Problem.fieldValue]:
    'expected a field value: 1.5, 1i, 1u, true, "text" or a list such as [1i,2i]; NaN and Inf are not values',
  [Problem.number]: "a number is not well formed; expected digits such as -1.5e3, 42i or 42u",
  [Problem.range]: "a number does not fit: integers have 64 bits, floats end at 1.8e308",
  [Problem.quote]:
    'a string has no closing quote; write a quote inside a string as \\" and a backslash as \\\\',
  [Problem.afterField]: "expected a comma, a space or the end of the line after a field value",
  [Problem.time]: "expected a time as a whole number, then the end of the line",
  [Problem.timeRange]: "the time does not fit in 64 bits",
  [Problem.utf8]: "the line is not valid UTF-8",
  [Problem.duplicateTag]: "a tag key occurs twice",
  [Problem.tooLong]: `a name or tag is longer than ${NAME_MAX} bytes, or a string longer than ${STRING_MAX} bytes`,
  [Problem.tooMany]: `the line has more than ${PAIRS_MAX} tags and fields`,
};

/** The sentence for people. */
export function describeProblem(problem: Problem): string {
  return SENTENCES[problem];
}
