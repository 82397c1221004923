import { varintSize } from "./build.ts";
import { FieldKind } from "./read-json-fields.ts";
import type { JsonPass } from "./read-json-pass.ts";

/** An escape, and the half of a pair behind it, may have been cut by the end of a window. */
const CUT_BYTES = 12;
/** The value does not end within its window. */
const TOO_LONG = -2;
const CLOSE_LIST = 0x5d;
const CLOSE_OBJECT = 0x7d;
const QUOTE = 0x22;
const NULL = 0x6c6c756e;

/**
 * A pass with pauses, for bodies of any size. Each value is first read as in any pass, with an end of the text set not far behind its
 * beginning; what does not end there is taken back and read part by part. So only long texts in base64 are never interrupted.
 */
export class JsonSlices {
  /** Where it paused last. */
  position = 0;
  /** It pauses at the first value behind this. */
  pause = 0;
  readonly #pass: JsonPass;
  readonly #windowBytes: number;

  /** `windowBytes`: what is read in one go. */
  constructor(pass: JsonPass, windowBytes: number) {
    if (windowBytes <= 2 * CUT_BYTES)
      throw new RangeError(`a window of ${windowBytes} bytes is too small`);
    this.#pass = pass;
    this.#windowBytes = windowBytes;
  }

  /** The request; true: all of it was read. */
  *request(message: number): Generator<void, boolean> {
    const pass = this.#pass;
    return pass.isEnd(yield* this.#message(message, pass.start, 0, 0));
  }

  *#message(message: number, p: number, level: number, depth: number): Generator<void, number> {
    const pass = this.#pass;
    const { out, table } = pass;
    const { bytes } = pass.scan;
    const mark = out.mark;
    const from = out.length;
    let before = table.first(message);
    p = pass.enter(p, level);
    while (p >= 0 && bytes[p] !== CLOSE_OBJECT) {
      p = pass.name(message, p, before, mark);
      if (p < 0) break;
      const field = pass.field;
      if (field === 0) p = yield* this.#skip(p);
      else {
        before = pass.row;
        p = yield* this.#value(field, p, level, depth);
      }
      if (p >= 0) p = pass.nextName(p);
      if (p >= this.pause) {
        this.position = p;
        yield;
      }
    }
    return pass.leave(message, p, level, from, mark);
  }

  *#value(field: number, p: number, level: number, depth: number): Generator<void, number> {
    const pass = this.#pass;
    const { trail, table } = pass;
    const end = this.#inWindow(false, field, p, level, depth);
    if (end !== TOO_LONG) return end;
    if (pass.scan.view.getInt32(p, true) === NULL) return p + 4;
    trail.enter(level, field);
    const kind = table.kinds[field]!;
    const hasParts = kind === FieldKind.message || kind === FieldKind.text;
    if (table.isRepeated[field] === 1)
      return yield* hasParts ? this.#list(field, p, level, depth) : this.#packed(field, p, level);
    return yield* this.#one(field, p, level, depth);
  }

  /** A value that is no list, or an element of one. */
  *#one(field: number, p: number, level: number, depth: number): Generator<void, number> {
    const pass = this.#pass;
    const kind = pass.table.kinds[field]!;
    if (kind === FieldKind.message) return yield* this.#child(field, p, level, depth);
    if (kind === FieldKind.text && pass.scan.bytes[p] === QUOTE)
      return yield* this.#text(field, p, level);
    const isElement = pass.table.isRepeated[field] === 1;
    return isElement ? pass.element(field, p, level, depth) : pass.value(field, p, level, depth);
  }

  *#child(field: number, p: number, level: number, depth: number): Generator<void, number> {
    const pass = this.#pass;
    const { out, table } = pass;
    const message = table.messages[field]!;
    const inner = pass.depthIn(message, p, level, depth);
    if (inner < 0) return -1;
    // What follows is its content for the most part, or it would have fit the window.
    const width = varintSize((pass.scan.end - p) >>> 1);
    const start = out.open(table.tags[field]!, width);
    p = yield* this.#message(message, p, level + 1, inner);
    if (p >= 0) out.closeMessage(start, width, message);
    return p;
  }

  *#item(field: number, p: number, level: number): Generator<void, number> {
    const pass = this.#pass;
    const { length, mark } = pass.out;
    pass.isInItem = true;
    const end = yield* this.#child(field, p, level, 0);
    pass.isInItem = false;
    if (end >= 0 || !pass.isMisfit) return end;
    pass.leaveOut(length, mark);
    const behind = yield* this.#skip(p);
    return behind < 0 ? pass.failed(level + 1) : behind;
  }

  *#list(field: number, p: number, level: number, depth: number): Generator<void, number> {
    const pass = this.#pass;
    const { bytes } = pass.scan;
    const isItems = pass.table.isItems[field] === 1;
    p = pass.enterList(p, level);
    if (p < 0) return -1;
    if (bytes[p] === CLOSE_LIST) return p + 1;
    for (let i = 0; ; i++) {
      pass.trail.element(level, i);
      let end = this.#inWindow(true, field, p, level, depth);
      if (end === TOO_LONG)
        end = yield* isItems ? this.#item(field, p, level) : this.#one(field, p, level, depth);
      p = end < 0 ? -1 : pass.stop(end, CLOSE_LIST);
      if (p < 0) return -1;
      if (bytes[p] === CLOSE_LIST) return p + 1;
      p = pass.solid(p + 1);
      if (p < this.pause) continue;
      this.position = p;
      yield;
    }
  }

  /** A list of numbers. */
  *#packed(field: number, p: number, level: number): Generator<void, number> {
    const pass = this.#pass;
    p = pass.enterList(p, level);
    if (p < 0) return -1;
    const start = pass.out.open(pass.table.tags[field]!, 1);
    p = pass.packed(field, p, level, 0, this.pause);
    while (p >= 0 && pass.index >= 0) {
      this.position = p;
      yield;
      p = pass.packed(field, p, level, pass.index, this.pause);
    }
    if (p >= 0) pass.out.close(start, 1);
    return p;
  }

  *#text(field: number, p: number, level: number): Generator<void, number> {
    const pass = this.#pass;
    const { out, scan } = pass;
    const start = out.open(pass.table.tags[field]!, 1);
    const last = scan.end;
    p++;
    for (;;) {
      const window = Math.min(p + this.#windowBytes, last);
      scan.narrow(window);
      const end = scan.text(p, out.view, out.length);
      scan.widen();
      out.length = scan.written;
      if (end >= 0) {
        out.close(start, 1);
        return end;
      }
      if (window === last || scan.failedAt < window - CUT_BYTES) return pass.failed(level);
      p = scan.failedAt;
      this.position = p;
      yield;
    }
  }

  /** Tries to read a value with the end of the text not far behind its beginning; TOO_LONG: nothing was written. */
  #inWindow(isElement: boolean, field: number, p: number, level: number, depth: number): number {
    const pass = this.#pass;
    const { scan, out, rejected } = pass;
    const { length, mark } = out;
    const isWindow = p + this.#windowBytes < scan.end;
    if (isWindow) scan.narrow(p + this.#windowBytes);
    const end = isElement
      ? pass.element(field, p, level, depth)
      : pass.value(field, p, level, depth);
    if (!isWindow) return end;
    scan.widen();
    if (end >= 0) return end;
    pass.retry(length, mark, rejected);
    return TOO_LONG;
  }

  *#skip(p: number): Generator<void, number> {
    const { scan } = this.#pass;
    scan.openBrackets = 0;
    p = scan.skipSome(p, this.pause);
    while (p >= 0 && scan.openBrackets > 0) {
      this.position = p;
      yield;
      p = scan.skipSome(p, this.pause);
    }
    return p;
  }
}
