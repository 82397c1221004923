import { JsonNumbers } from "../wire/json-numbers.ts";
import { JsonScan } from "../wire/json-scan.ts";
import { FieldKind, type FieldTable, messageNumber } from "./read-json-fields.ts";
import { JsonOutput } from "./read-json-output.ts";
import { JsonPairs } from "./read-json-pairs.ts";
import { JsonScalars, MISFIT } from "./read-json-scalars.ts";
import { JsonTrail, shownCharacter, shownValue } from "./read-json-trail.ts";
import type { Room } from "./room.ts";
import { MAX_DEPTH } from "./scan.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BACKSLASH = 0x5c;
const NULL = 0x6c6c756e;
const BYTE_ORDER_MARK = 0xbfbbef;
const NEVER = 0x7fff_ffff;
// Values of this file: those of other modules are looked up each time they are used.
const MESSAGE: number = FieldKind.message;
const TEXT: number = FieldKind.text;
const DOUBLE: number = FieldKind.double;
/** Longest unknown name that is unescaped, in case it is a known one that somebody escaped (bytes). */
const LONGEST_NAME = 160;

const KEY_VALUE = messageNumber("KeyValue");
const ANY_VALUE = messageNumber("AnyValue");

/**
 * One pass over an OTLP/JSON request. Functions get the position of a value and give the one behind it, or -1: then either `scan` knows
 * what is no JSON, or a value does not fit its field (`isMisfit`). `level` counts the fields around a value, `depth` the AnyValues.
 */
export class JsonPass {
  readonly scan = new JsonScan();
  readonly out: JsonOutput;
  rejected = 0;
  /** Why the first item was left out. */
  why = "";
  /** The last failure was a misfit. */
  isMisfit = false;
  /** Where the list of numbers goes on that was read last; -1: it ended. */
  index = -1;
  readonly trail: JsonTrail;
  readonly table: FieldTable;
  readonly #numbers: JsonNumbers;
  readonly #scalars: JsonScalars;
  readonly #pairs: JsonPairs;
  readonly #nameMemory = new DataView(new ArrayBuffer(LONGEST_NAME + 16));
  /** Row and field of the last name; 0: unknown. */
  row = 0;
  field = 0;
  isInItem = false;
  /** Bytes of the body. */
  #length = 0;
  /** What the innermost message that failed was: written once per failure. */
  #failure = "";

  constructor(table: FieldTable, room?: Room) {
    this.table = table;
    this.trail = new JsonTrail(table.names);
    this.out = new JsonOutput(table, room);
    this.#numbers = new JsonNumbers(this.scan);
    this.#scalars = new JsonScalars(this.scan, this.#numbers, this.out);
    this.#pairs = new JsonPairs(this.scan, this.#numbers, this.out);
  }

  begin(bytes: Uint8Array, view: DataView, length: number): void {
    this.scan.begin(bytes, view, length);
    this.#length = length;
    this.out.begin(length);
    this.rejected = 0;
    this.why = "";
    this.isMisfit = false;
    this.#failure = "";
    this.isInItem = false;
  }

  /** What was wrong, after a function gave -1. */
  get failure(): string {
    if (this.isMisfit) return this.#failure;
    const { failedAt, expected } = this.scan;
    const where = this.#failure === "" ? "" : `${this.#failure}: `;
    return `${where}expected ${expected} at byte ${failedAt}, found ${shownCharacter(this.scan, failedAt)}`;
  }

  /** Where the request begins: behind a byte order mark and white space. */
  get start(): number {
    const hasMark = (this.scan.view.getInt32(0, true) & 0xffffff) === BYTE_ORDER_MARK;
    return this.scan.space(hasMark ? 3 : 0);
  }

  /** Whether nothing stands behind the request, which ended at `p`. */
  isEnd(p: number): boolean {
    if (p < 0) return false;
    const end = this.scan.space(p);
    if (end === this.scan.end) return true;
    this.scan.fail(end, "the end of the body");
    return false;
  }

  /** The content of a message, from its `{` on. */
  message(message: number, p: number, level: number, depth: number): number {
    const { scan, out } = this;
    const { bytes } = scan;
    const table = this.table;
    const mark = out.mark;
    const from = out.length;
    let before = table.first(message);
    p = this.enter(p, level);
    while (p >= 0 && bytes[p] !== CLOSE_OBJECT) {
      p = this.name(message, p, before, mark);
      if (p < 0) break;
      const field = this.field;
      if (field === 0) p = scan.skip(p);
      else {
        before = this.row;
        p = this.value(field, p, level, depth);
      }
      if (p >= 0) p = this.nextName(p);
    }
    return this.leave(message, p, level, from, mark);
  }

  /** From `{` to the first name, or to `}`. */
  enter(p: number, level: number): number {
    if (this.scan.bytes[p] === OPEN_OBJECT) return this.solid(p + 1);
    return this.#misfit(level, p, "must be an object");
  }

  /** The name at `p` and its colon: to the value. Leaves `row` and `field`, 0 when unknown. */
  name(message: number, p: number, before: number, mark: number): number {
    const { scan } = this;
    const { bytes, view } = scan;
    if (bytes[p] !== QUOTE) return scan.fail(p, "a name in quotes");
    const table = this.table;
    let row = table.find(message, view, p + 1, before);
    if (row !== 0) p += 1 + table.lengthOf(row);
    else {
      const end = scan.textEnd(p + 1);
      if (end < 0) return -1;
      row = this.#escapedName(message, p, end);
      p = end;
    }
    this.row = row;
    const field = table.fieldOf(row);
    this.field = field;
    if (field !== 0) this.out.member(message, table.numbers[field]!, mark);
    return bytes[p] === COLON && bytes[p + 1]! > 0x20 ? p + 1 : scan.colon(p);
  }

  /** The row of a name that is written with escapes, in [p, end). */
  #escapedName(message: number, p: number, end: number): number {
    if (end - p > LONGEST_NAME) return 0;
    const { bytes } = this.scan;
    let q = p;
    while (q < end && bytes[q] !== BACKSLASH) q++;
    if (q === end) return 0;
    const memory = this.#nameMemory;
    this.scan.text(p + 1, memory, 0);
    memory.setUint8(this.scan.written, QUOTE);
    return this.table.find(message, memory, 0, this.table.first(message));
  }

  nextName(p: number): number {
    const { bytes } = this.scan;
    p = this.stop(p, CLOSE_OBJECT);
    if (p < 0 || bytes[p] === CLOSE_OBJECT) return p;
    p = this.solid(p + 1);
    return bytes[p] === QUOTE ? p : this.scan.fail(p, "a name in quotes");
  }

  /** Ends a message at its `}`, or notes where reading ended. */
  leave(message: number, p: number, level: number, from: number, mark: number): number {
    const { out } = this;
    if (p < 0) return this.failed(level);
    out.arrange(message, mark);
    if (message === KEY_VALUE) out.addKey(from);
    return p + 1;
  }

  /** The value of a field: written behind its tag. */
  value(field: number, p: number, level: number, depth: number): number {
    const table = this.table;
    if (this.scan.view.getInt32(p, true) === NULL) return p + 4;
    this.trail.enter(level, field);
    if (table.isRepeated[field] === 1) return this.#list(field, p, level, depth);
    const kind = table.kinds[field]!;
    if (kind === MESSAGE) return this.#child(field, p, level, depth);
    const { out } = this;
    if (kind === DOUBLE) out.keep(this.#length - p);
    const at = out.length;
    const end = this.#scalars.field(kind, table.tags[field]!, table.idSizes[field]!, p);
    if (end > 0 && out.bytes[out.length - 1] === 0 && table.isImplicit[field] === 1)
      out.dropZero(at);
    return end === MISFIT ? this.#misfit(level + 1, p, this.#scalars.misfit) : end;
  }

  #child(field: number, p: number, level: number, depth: number): number {
    const { out } = this;
    const message = this.table.messages[field]!;
    const inner = this.depthIn(message, p, level, depth);
    if (inner < 0) return -1;
    const width = out.widthOf(message);
    const start = out.open(this.table.tags[field]!, width);
    p = this.message(message, p, level + 1, inner);
    if (p >= 0) out.closeMessage(start, width, message);
    return p;
  }

  /** The depth inside of a message that is the value of the field at `level`; -1: too deep. */
  depthIn(message: number, p: number, level: number, depth: number): number {
    if (message !== ANY_VALUE) return depth;
    if (depth < MAX_DEPTH) return depth + 1;
    return this.#misfit(level + 1, p, `must not be nested more than ${MAX_DEPTH} values deep`);
  }

  /** An item, which is left out and counted when something in it does not fit. */
  #item(field: number, p: number, level: number): number {
    const { length, mark } = this.out;
    this.out.keep(this.#length - p);
    this.isInItem = true;
    const end = this.#child(field, p, level, 0);
    this.isInItem = false;
    if (end >= 0 || !this.isMisfit) return end;
    this.leaveOut(length, mark);
    const behind = this.scan.skip(p);
    return behind < 0 ? this.failed(level + 1) : behind;
  }

  /** Takes back the item that began at `length` and did not fit. */
  leaveOut(length: number, mark: number): void {
    this.out.rewind(length, mark);
    if (this.rejected++ === 0) this.why = this.#failure;
    this.isMisfit = false;
    this.#failure = "";
  }

  /** Notes where it was that reading failed, inside of `levels` fields; the first to call it knows best. */
  failed(levels: number): -1 {
    if (!this.isMisfit && this.#failure === "") this.#failure = this.trail.path(levels);
    return -1;
  }

  /** Takes back everything behind `length`, failures and left out items too. */
  retry(length: number, mark: number, rejected: number): void {
    this.out.rewind(length, mark);
    this.rejected = rejected;
    if (rejected === 0) this.why = "";
    this.isMisfit = false;
    this.#failure = "";
  }

  #list(field: number, p: number, level: number, depth: number): number {
    const { bytes } = this.scan;
    const table = this.table;
    p = this.enterList(p, level);
    if (p < 0) return -1;
    if (bytes[p] === CLOSE_LIST) return p + 1;
    const kind = table.kinds[field]!;
    if (kind !== MESSAGE && kind !== TEXT) {
      const start = this.out.open(table.tags[field]!, 1);
      p = this.packed(field, p, level, 0, NEVER);
      if (p >= 0) this.out.close(start, 1);
      return p;
    }
    const isPairs = table.messages[field] === KEY_VALUE && kind === MESSAGE;
    for (let i = 0; ; i++) {
      let isBehind = false;
      if (isPairs) {
        p = this.#pairs.take(p, table.tags[field]!);
        isBehind = !this.#pairs.isBeforeNext;
        i += this.#pairs.count;
      }
      if (!isBehind) {
        this.trail.element(level, i);
        p = this.element(field, p, level, depth);
      } else i--;
      if (p >= 0) p = this.stop(p, CLOSE_LIST);
      if (p < 0) return -1;
      if (bytes[p] === CLOSE_LIST) return p + 1;
      p = this.solid(p + 1);
    }
  }

  element(field: number, p: number, level: number, depth: number): number {
    if (this.table.isItems[field] === 1) return this.#item(field, p, level);
    if (this.table.kinds[field] === MESSAGE) return this.#child(field, p, level, depth);
    const end = this.#scalars.field(TEXT, this.table.tags[field]!, 0, p);
    return end === MISFIT ? this.#misfit(level + 1, p, this.#scalars.misfit) : end;
  }

  /** A list of numbers, from the one with `index` on: to its end, or to the first one behind `pause`; then `index` tells which. */
  packed(field: number, p: number, level: number, index: number, pause: number): number {
    const { scan, out } = this;
    const kind = this.table.kinds[field]!;
    for (let i = index; ; i++) {
      if (p >= pause) {
        this.index = i;
        return p;
      }
      out.keep(this.#length - p);
      const end = this.#scalars.number(kind, p);
      if (end === MISFIT) {
        this.trail.element(level, i);
        return this.#misfit(level + 1, p, this.#scalars.misfit);
      }
      p = end < 0 ? -1 : this.stop(end, CLOSE_LIST);
      if (p < 0) return -1;
      if (scan.bytes[p] === CLOSE_LIST) break;
      p = this.solid(p + 1);
    }
    this.index = -1;
    return p + 1;
  }

  /** From `[` to the first element, or to `]`. */
  enterList(p: number, level: number): number {
    if (this.scan.bytes[p] === OPEN_LIST) return this.solid(p + 1);
    return this.#misfit(level + 1, p, "must be a list");
  }

  /** The comma or bracket at `p`, or behind white space there. */
  stop(p: number, close: number): number {
    const { bytes } = this.scan;
    p = this.solid(p);
    if (bytes[p] === COMMA || bytes[p] === close) return p;
    return this.scan.fail(p, close === CLOSE_LIST ? '"," or "]"' : '"," or "}"');
  }

  solid(p: number): number {
    return this.scan.bytes[p]! > 0x20 ? p : this.scan.space(p);
  }

  /** The value at `p`, inside of `levels` fields, is not what its field takes. */
  #misfit(levels: number, p: number, what: string): -1 {
    this.isMisfit = true;
    if (this.isInItem && this.rejected > 0) return -1;
    this.#failure = `${this.trail.path(levels) || "the body"}: ${what}, got ${shownValue(this.scan, p)}`;
    return -1;
  }
}
