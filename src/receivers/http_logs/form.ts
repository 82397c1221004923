import type { Body } from "../../kit/server/compression.ts";
import { HEX_VALUES } from "../../wire/hex.ts";

/** Longest form that is decoded: it is done in one go. */
export const FORM_MAX: number = 8 << 20;

const AMPERSAND = 38;
const EQUALS = 61;
const PERCENT = 37;
const PLUS = 43;
/** Fields that hold records, as in_http of Fluentd names them. */
const FIELDS = new Set(["json", "ndjson", "msgpack"]);
const NAME_MAX = 8;

/** What a form holds: `json=…`, `ndjson=…` or `msgpack=…`. */
export interface Form {
  readonly field: string;
  readonly body: Body;
}

/** The first field of a form that holds records, decoded where it stands; undefined: the body is no such form. */
export function readForm({ bytes, length }: Body): Form | undefined {
  for (let at = 0; at < length; ) {
    const next = bytes.indexOf(AMPERSAND, at);
    const end = next < 0 || next > length ? length : next;
    const equals = bytes.indexOf(EQUALS, at);
    if (equals < 0 || equals - at > NAME_MAX) return undefined;
    const field = Buffer.from(bytes.buffer, bytes.byteOffset + at, equals - at).toString("latin1");
    if (FIELDS.has(field)) return { field, body: decoded(bytes, equals + 1, end) };
    if (field !== "time") return undefined;
    at = end + 1;
  }
  return undefined;
}

/** `+` and `%41` become what they stand for; a percent sign without two digits stands for itself. */
function decoded(bytes: Uint8Array, from: number, end: number): Body {
  let o = from;
  for (let p = from; p < end; p++) {
    const c = bytes[p] ?? 0;
    const high = HEX_VALUES[bytes[p + 1] ?? 0] ?? 255;
    const low = HEX_VALUES[bytes[p + 2] ?? 0] ?? 255;
    if (c === PERCENT && p + 2 < end && (high | low) < 16) {
      bytes[o++] = (high << 4) | low;
      p += 2;
    } else bytes[o++] = c === PLUS ? 32 : c;
  }
  return { bytes: bytes.subarray(from), length: o - from };
}
