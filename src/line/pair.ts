/** Ints per tag or field in `LineReader.pairs`, and the offsets inside one. */
export const PAIR = 7;
export const Pair = {
  keyAt: 0,
  keyEnd: 1,
  /** Strings: behind the opening quote. Lists: the bracket. */
  valueAt: 2,
  /** Strings: the closing quote. */
  valueEnd: 3,
  /** Literal | KEY_ESCAPED | VALUE_ESCAPED; tags are text. */
  flags: 4,
  /** Integers: the halves. Booleans: 0 or 1 in `low`. Floats: see `LineReader.numbers`. */
  low: 5,
  high: 6,
} as const;
export const LITERAL_MASK = 15;
/** The span has a backslash: copy it with `unescape…`. */
export const KEY_ESCAPED = 16;
export const VALUE_ESCAPED = 32;
