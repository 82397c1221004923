import type { JsonScan } from "../wire/json-scan.ts";
import { MAX_DEPTH } from "./scan.ts";

/** Fields that are open at once: each AnyValue of the deepest allowed nesting is in a list in a message. */
const LEVELS = 4 * MAX_DEPTH + 64;
/** Bytes of a bad value that an error shows. */
const SHOWN_BYTES = 60;

/** The fields around what is being read, so that an error can name the place. */
export class JsonTrail {
  readonly #names: readonly string[];
  /** Pairs: field, and index in its list or -1. */
  readonly #levels = new Int32Array(2 * LEVELS);

  /** `names`: of the fields, by their numbers. */
  constructor(names: readonly string[]) {
    this.#names = names;
  }

  enter(level: number, field: number): void {
    this.#levels[2 * level] = field;
    this.#levels[2 * level + 1] = -1;
  }

  element(level: number, index: number): void {
    this.#levels[2 * level + 1] = index;
  }

  /** `resourceLogs[0].scopeLogs[0].logRecords[3].body`: the first `levels` fields. */
  path(levels: number): string {
    let path = "";
    for (let i = 0; i < levels; i++) {
      const index = this.#levels[2 * i + 1]!;
      path += `${i === 0 ? "" : "."}${this.#names[this.#levels[2 * i]!]}`;
      if (index >= 0) path += `[${index}]`;
    }
    return path;
  }
}

/** The value at `p` for an error message: as it is written, when it is short. */
export function shownValue(scan: JsonScan, p: number): string {
  const c = scan.bytes[p]!;
  if (c === 0x7b) return "an object";
  if (c === 0x5b) return "a list";
  const end = scan.skip(p);
  if (end < 0) return shownCharacter(scan, p);
  const text = new TextDecoder().decode(scan.bytes.subarray(p, Math.min(end, p + SHOWN_BYTES)));
  return end > p + SHOWN_BYTES ? `${text}…` : text;
}

/** The character at `p`, in quotes. */
export function shownCharacter({ bytes, end }: JsonScan, p: number): string {
  if (p >= end) return "the end";
  const [character = ""] = new TextDecoder().decode(bytes.subarray(p, Math.min(end, p + 4)));
  return JSON.stringify(character);
}
