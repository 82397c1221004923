import {
  CHUNK_MAX,
  CHUNK_TOO_LONG,
  type JsonEntry,
  type Message,
  NO_MAP,
  NO_RECORD,
  NO_TIME,
  TAG_IS_NO_TEXT,
} from "./message.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
/** A text, a number or options; longer ones are none that mean something. */
const SMALL_BYTES = 4_096;
const NONE = { kind: "none" } as const;
const SECOND = 1_000_000_000n;

interface Place {
  readonly from: number;
  readonly to: number;
}

/** The message in `bytes[from, to)`, whose brackets match. Records stay where they are, so that their numbers are exact. */
export function readJsonMessage(bytes: Uint8Array, from: number, to: number): Message {
  const nothing = { tag: "", bytes, from, to, content: NONE };
  const [tagAt, second, third, fourth] = elements(bytes, from, to);
  if (tagAt === undefined || second === undefined) return { ...nothing, problem: NO_RECORD };
  const isForward = bytes[second.from] === OPEN_LIST;
  const ack = ackOf(bytes, isForward ? third : fourth);
  const tag = small(bytes, tagAt);
  const message = {
    ...nothing,
    tag: typeof tag === "string" ? tag : "",
    ...(ack !== undefined && ack.length <= CHUNK_MAX && { ack }),
  };
  if (typeof tag !== "string") return { ...message, problem: TAG_IS_NO_TEXT };
  if (ack !== undefined && ack.length > CHUNK_MAX) return { ...message, problem: CHUNK_TOO_LONG };
  const entries = isForward
    ? elements(bytes, second.from, second.to).map((place) => {
        const [time, record] = elements(bytes, place.from, place.to);
        return entryOf(bytes, time, record);
      })
    : [entryOf(bytes, second, third)];
  // A problem of one entry is its own: the record that is not there is found to be none.
  const [only] = entries;
  if (!isForward && typeof only === "string") return { ...message, problem: only };
  const known = entries.map((entry) => (typeof entry === "string" ? NO_ENTRY : entry));
  return { ...message, content: { kind: "json", entries: known } };
}

/** An entry that holds nothing: it is counted when it is read. */
const NO_ENTRY: JsonEntry = { from: 0, to: 0, timeLow: 0, timeHigh: 0 };

function entryOf(
  bytes: Uint8Array,
  timeAt: Place | undefined,
  record: Place | undefined,
): JsonEntry | string {
  if (timeAt === undefined || record === undefined) return NO_RECORD;
  const time = small(bytes, timeAt);
  if (time !== null && typeof time !== "number") return NO_TIME;
  if (bytes[record.from] !== OPEN_OBJECT) return NO_MAP;
  const nanos = nanosOf(time ?? 0);
  return {
    ...record,
    timeLow: Number(BigInt.asIntN(32, nanos)),
    timeHigh: Number(nanos >> 32n),
  };
}

/** A time that 64 bits of nanoseconds do not hold is none. */
function nanosOf(seconds: number): bigint {
  const whole = Math.floor(seconds);
  const nanos = BigInt(whole) * SECOND + BigInt(Math.round((seconds - whole) * 1e9));
  return BigInt.asIntN(64, nanos) === nanos ? nanos : 0n;
}

/** The answer to a message with these options. */
function ackOf(bytes: Uint8Array, options: Place | undefined): Uint8Array | undefined {
  const value = options === undefined ? undefined : small(bytes, options);
  if (typeof value !== "object" || value === null || !("chunk" in value)) return undefined;
  return typeof value.chunk === "string"
    ? Buffer.from(JSON.stringify({ ack: value.chunk }))
    : undefined;
}

function small(bytes: Uint8Array, { from, to }: Place): unknown {
  if (to - from > SMALL_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.subarray(from, to)).toString());
    return value;
  } catch {
    return undefined;
  }
}

/** The elements of the list at `from`, in an order of brackets and quotes that was checked when it arrived. */
function elements(bytes: Uint8Array, from: number, to: number): Place[] {
  while (from < to && isSpace(bytes[from] ?? 0)) from++;
  if (bytes[from] !== OPEN_LIST) return [];
  const places: Place[] = [];
  let depth = 0;
  let start = -1;
  let end = 0;
  for (let p = from + 1; p < to; p++) {
    const c = bytes[p] ?? 0;
    if (isSpace(c)) continue;
    const isEnd = depth === 0 && (c === COMMA || c === CLOSE_LIST);
    if (isEnd && start >= 0) places.push({ from: start, to: end });
    if (isEnd && c === CLOSE_LIST) return places;
    if (isEnd) {
      start = -1;
      continue;
    }
    if (start < 0) start = p;
    if (c === QUOTE) for (p++; p < to && bytes[p] !== QUOTE; p++) if (bytes[p] === BACKSLASH) p++;
    if (c === OPEN_LIST || c === OPEN_OBJECT) depth++;
    else if (c === CLOSE_LIST || c === CLOSE_OBJECT) depth--;
    end = p + 1;
  }
  return places;
}

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 9 && c <= 13);
}
