import { COMMA, EQUALS, HASH, NEWLINE, OPEN, QUOTE, RETURN, SPACE } from "./characters.ts";
import { KNOWN_SETS, KnownKeys } from "./known-keys.ts";
import { Literal } from "./literals.ts";
import { NameScanner } from "./names.ts";
import { KEY_ESCAPED, LITERAL_MASK, PAIR, Pair, VALUE_ESCAPED } from "./pair.ts";
import { NAME_MAX, PAIRS_MAX, Problem, STRING_MAX } from "./problems.ts";
import { sameKeyTwice } from "./same-key.ts";
import { Scalars } from "./scalars.ts";
import { behindSpaces, isLineEnd, StringScanner } from "./strings.ts";
import { TimeReader } from "./time-reader.ts";
import { UsualLine } from "./usual-line.ts";
import { isUtf8 } from "./utf8.ts";

/** Of the lines with unknown names, one in so many (a power of two, less one) is learned once there is no free set. */
const LEARN_MASK = 7;
/** Sets with a line's measurement that are tried. */
const SETS_TRIED = 4;

/**
 * A cursor over lines of line protocol. Nothing is copied: a line is positions in the caller's memory, valid until `next`.
 *
 * One bad line costs one line. The cursor goes on behind the next newline that is not inside a quoted string, so text of a bad line is
 * never read as a line. A quote counts as opening a string only directly behind `=` in the fields, and the string counts as one only if its
 * closing quote stands before a comma, a space or the end of the line; if not, and it runs over a newline, the quote was forgotten: then the
 * bad line ends at the first newline behind that quote, so a forgotten quote swallows nothing.
 */
export class LineReader {
  /** Problem.none: the line is good. Else only `problemAt`, `lineAt` and `lineNumber` mean something. */
  problem: Problem = Problem.none;
  problemAt = 0;
  /** 1, 2, 3 … of the line's beginning; newlines inside strings count. */
  lineNumber = 0;
  lineAt = 0;
  /** Behind the line's last byte (its newline not included). */
  lineEnd = 0;
  /** A string ran to the end of the memory: with more memory the line might be good. */
  isUnclosed = false;
  measurementAt = 0;
  measurementEnd = 0;
  measurementEscaped = false;
  /** Tags are pairs 0 … tagCount - 1, fields the next fieldCount. */
  tagCount = 0;
  fieldCount = 0;
  pairs: Int32Array = new Int32Array(64 * PAIR);
  /** Value of pair `i` when it is a float. */
  numbers: Float64Array = new Float64Array(64);
  hasTime = false;
  /** The time as int64, in the sender's precision. */
  timeLow = 0;
  timeHigh = 0;
  /** The set of `known` that has exactly the measurement and keys of the line, in their order; -1: none. */
  set = -1;
  /** Kinds of the line's fields: bit 1 << Literal. */
  kinds = 0;
  readonly known: KnownKeys = new KnownKeys();

  readonly #scalars = new Scalars();
  readonly #times = new TimeReader();
  readonly #names = new NameScanner();
  readonly #strings = new StringScanner();
  readonly #usual = new UsualLine(
    this.known,
    this.#names,
    this.#strings,
    this.#scalars,
    this.#times,
  );
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;
  #newlines = 0;
  #inFields = false;
  /** Where to look for the end of a bad line; -1: from the problem on. */
  #skipFrom = -1;
  #areTagsKnown = false;
  #misses = 0;

  /** Sets the cursor before the first line of `bytes[from, to)`. `view` is over the same memory. */
  reset(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    this.#bytes = bytes;
    this.#view = view;
    this.#at = from;
    this.#end = to;
    this.#newlines = 0;
    this.lineNumber = 0;
    this.#names.reset(bytes, view, to);
    this.#strings.reset(bytes, view, to);
    this.#scalars.reset(bytes, to);
    this.#usual.reset(bytes, view, to);
    this.known.reset(bytes, view, to);
  }

  /** Moves to the next line, good or bad; comments and blank lines are passed over. False at the end. */
  next(): boolean {
    if (!this.#begin()) return false;
    const isUsual = this.#isUsual();
    const at = isUsual ? this.lineEnd : this.#line(this.#at);
    if (this.problem === Problem.none) {
      this.#at = at;
      if (
        !(this.#names.isAscii && this.#strings.isAscii) &&
        !isUtf8(this.#bytes, this.lineAt, this.lineEnd)
      )
        this.#fail(Problem.utf8, this.lineAt);
      else if (this.set < 0) this.#checkNames();
    } else this.#skip();
    return true;
  }

  /** Reads the line if it is as most are. */
  #isUsual(): boolean {
    const { known, lineAt } = this;
    const usual = this.#usual;
    const first = known.find(lineAt);
    if (first < 0) return false;
    let set = first;
    let end = usual.read(set, lineAt, this.pairs, this.numbers);
    for (let n = 1; end < 0 && n < SETS_TRIED; n++) {
      set = known.twin(set);
      if (set === first) return false;
      end = usual.read(set, lineAt, this.pairs, this.numbers);
    }
    if (end < 0) return false;
    known.prefer(set);
    this.set = set;
    this.lineEnd = end;
    this.measurementAt = lineAt;
    this.measurementEnd = lineAt + known.measurements[set]!;
    this.measurementEscaped = false;
    this.tagCount = known.tagCounts[set]!;
    this.fieldCount = known.fieldCounts[set]!;
    this.kinds = usual.kinds;
    this.hasTime = usual.hasTime;
    this.timeLow = this.#times.low;
    this.timeHigh = this.#times.high;
    return true;
  }

  /** A line with names that are not known: they may repeat themselves, and may be worth knowing. */
  #checkNames(): void {
    const { known, tagCount } = this;
    if (!this.#areTagsKnown && tagCount > 1 && sameKeyTwice(this.#bytes, this.pairs, tagCount)) {
      this.#fail(Problem.duplicateTag, this.measurementEnd);
      return;
    }
    // Where names change from line to line, learning them all would cost more than it saves.
    if (known.count === KNOWN_SETS && (++this.#misses & LEARN_MASK) !== 0) return;
    const { measurementAt, measurementEnd, pairs, fieldCount } = this;
    known.learn(this.#bytes, measurementAt, measurementEnd, pairs, tagCount, fieldCount);
  }

  /** Passes over blank lines and comments. */
  #begin(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let p = this.#at;
    for (; p < end; p++) {
      const c = bytes[p]!;
      if (c === NEWLINE) this.#newlines++;
      else if (c === HASH) {
        while (p + 1 < end && bytes[p + 1] !== NEWLINE) p++;
      } else if (c !== SPACE && !(c === RETURN && isLineEnd(this.#bytes, p, this.#end))) break;
    }
    this.#at = p;
    if (p >= end) return false;
    this.lineAt = p;
    this.lineNumber = this.#newlines + 1;
    this.problem = Problem.none;
    this.isUnclosed = false;
    this.tagCount = 0;
    this.fieldCount = 0;
    this.hasTime = false;
    this.set = -1;
    this.kinds = 0;
    this.#names.isAscii = true;
    this.#strings.isAscii = true;
    this.#inFields = false;
    return true;
  }

  #fail(problem: Problem, at: number): number {
    this.problem = problem;
    this.problemAt = at;
    return at;
  }

  /** Reads one line; returns the position of its newline, or of the problem. */
  #line(from: number): number {
    const bytes = this.#bytes;
    const set = this.known.find(from);
    let p = set < 0 ? this.#measurement(from) : from + this.known.measurements[set]!;
    if (this.problem !== Problem.none) return p;
    this.measurementAt = from;
    this.measurementEnd = p;
    this.measurementEscaped = set < 0 && this.#names.isEscaped;
    while (p < this.#end && bytes[p] === COMMA) {
      p = this.#tag(p + 1);
      if (this.problem !== Problem.none) return p;
    }
    this.#areTagsKnown = this.known.areTags(set, this.tagCount);
    if (p >= this.#end || bytes[p] !== SPACE) return this.#fail(Problem.noFields, p);
    this.#inFields = true;
    p = behindSpaces(bytes, p, this.#end);
    if (isLineEnd(this.#bytes, p, this.#end)) return this.#fail(Problem.noFields, p);
    do {
      if (this.fieldCount > 0) p++;
      p = this.#field(p);
      if (this.problem !== Problem.none) return p;
    } while (p < this.#end && bytes[p] === COMMA);
    if (!isLineEnd(this.#bytes, p, this.#end)) {
      if (bytes[p] !== SPACE) return this.#fail(Problem.afterField, p);
      p = this.#time(behindSpaces(bytes, p, this.#end));
      if (this.problem !== Problem.none) return p;
    }
    this.lineEnd = p;
    if (this.known.isAll(set, this.fieldCount)) this.set = set;
    return p;
  }

  #measurement(from: number): number {
    let p = this.#names.end(from);
    while (p < this.#end && this.#bytes[p] === EQUALS) {
      const wasEscaped = this.#names.isEscaped;
      p = this.#names.end(p + 1);
      this.#names.isEscaped ||= wasEscaped;
    }
    if (p === from) return this.#fail(Problem.measurement, p);
    return p - from > NAME_MAX ? this.#fail(Problem.tooLong, from) : p;
  }

  #tag(from: number): number {
    const i = this.#pair();
    if (i < 0) return this.#fail(Problem.tooMany, from);
    let equals: number;
    let keyFlag = 0;
    if (this.known.isExpected(from)) equals = from + this.known.lengths[this.known.expected++]! - 1;
    else {
      equals = this.#names.end(from);
      if (equals === from || equals >= this.#end || this.#bytes[equals] !== EQUALS)
        return this.#fail(Problem.tagKey, equals);
      if (this.#names.isEscaped) keyFlag = KEY_ESCAPED;
    }
    const end = this.#names.end(equals + 1);
    if (end === equals + 1) return this.#fail(Problem.tagValue, end);
    if (equals - from > NAME_MAX || end - equals > NAME_MAX)
      return this.#fail(Problem.tooLong, from);
    const pairs = this.pairs;
    pairs[i + Pair.keyAt] = from;
    pairs[i + Pair.keyEnd] = equals;
    pairs[i + Pair.valueAt] = equals + 1;
    pairs[i + Pair.valueEnd] = end;
    pairs[i + Pair.flags] = Literal.text | keyFlag | (this.#names.isEscaped ? VALUE_ESCAPED : 0);
    this.tagCount++;
    return end;
  }

  #field(from: number): number {
    const i = this.#pair();
    if (i < 0) return this.#fail(Problem.tooMany, from);
    let equals: number;
    let keyFlag = 0;
    if (this.known.isExpected(from)) equals = from + this.known.lengths[this.known.expected++]! - 1;
    else {
      equals = this.#names.end(from);
      if (equals === from || equals >= this.#end || this.#bytes[equals] !== EQUALS)
        return this.#fail(Problem.fieldKey, equals);
      if (equals - from > NAME_MAX) return this.#fail(Problem.tooLong, from);
      if (this.#names.isEscaped) keyFlag = KEY_ESCAPED;
    }
    const pairs = this.pairs;
    pairs[i + Pair.keyAt] = from;
    pairs[i + Pair.keyEnd] = equals;
    const first = equals + 1 < this.#end ? this.#bytes[equals + 1] : 0;
    let end: number;
    if (first === QUOTE) end = this.#text(i, equals + 1);
    else if (first === OPEN) end = this.#list(i, equals + 1);
    else end = this.#scalar(i, equals + 1);
    pairs[i + Pair.flags]! |= keyFlag;
    this.kinds |= 1 << (pairs[i + Pair.flags]! & LITERAL_MASK);
    this.fieldCount++;
    return end;
  }

  /** Index in `pairs` of the next pair, or -1 when the line has too many. */
  #pair(): number {
    const n = this.tagCount + this.fieldCount;
    if (n >= PAIRS_MAX) return -1;
    if (n >= this.numbers.length) {
      const pairs = new Int32Array(this.pairs.length * 2);
      pairs.set(this.pairs);
      this.pairs = pairs;
      const numbers = new Float64Array(this.numbers.length * 2);
      numbers.set(this.numbers);
      this.numbers = numbers;
    }
    return n * PAIR;
  }

  #scalar(i: number, from: number): number {
    const n = this.tagCount + this.fieldCount;
    const end = this.#scalars.read(from, this.pairs, i, this.numbers, n);
    return end < 0 ? this.#fail(this.#scalars.problem, from) : end;
  }

  #text(i: number, quote: number): number {
    const close = this.#strings.string(quote);
    const end = this.#strings.behindString(close);
    if (end < 0) return this.#failString(quote);
    this.#newlines += this.#strings.newlines;
    if (close - quote - 1 > STRING_MAX) return this.#fail(Problem.tooLong, end);
    const pairs = this.pairs;
    pairs[i + Pair.valueAt] = quote + 1;
    pairs[i + Pair.valueEnd] = close;
    pairs[i + Pair.flags] = Literal.text | (this.#strings.isEscaped ? VALUE_ESCAPED : 0);
    return end;
  }

  #list(i: number, open: number): number {
    const end = this.#strings.behindList(open);
    if (end < 0)
      return this.#strings.brokenAt >= 0
        ? this.#failString(open)
        : this.#fail(Problem.fieldValue, open);
    this.#newlines += this.#strings.newlines;
    if (end - open > STRING_MAX) return this.#fail(Problem.tooLong, end);
    const pairs = this.pairs;
    pairs[i + Pair.valueAt] = open;
    pairs[i + Pair.valueEnd] = end;
    pairs[i + Pair.flags] = Literal.list;
    return end;
  }

  #failString(quote: number): number {
    this.#fail(Problem.quote, quote);
    this.isUnclosed = this.#strings.isUnclosed;
    this.#skipFrom = this.#strings.brokenAt < 0 ? this.#end : this.#strings.brokenAt;
    return quote;
  }

  #time(from: number): number {
    if (isLineEnd(this.#bytes, from, this.#end)) return from;
    const bytes = this.#bytes;
    let p = from;
    for (; p < this.#end; p++) {
      const c = bytes[p]!;
      if (c === SPACE || c === NEWLINE || c === RETURN) break;
    }
    const time = this.#times;
    const problem = time.read(bytes, this.#view, from, p);
    if (problem !== Problem.none)
      return this.#fail(problem === Problem.range ? Problem.timeRange : Problem.time, from);
    this.hasTime = true;
    this.timeLow = time.low;
    this.timeHigh = time.high;
    const end = behindSpaces(bytes, p, this.#end);
    return isLineEnd(this.#bytes, end, this.#end) ? end : this.#fail(Problem.time, end);
  }

  /** From a problem to the newline that ends the bad line. */
  #skip(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let p = this.#skipFrom < 0 ? this.problemAt : this.#skipFrom;
    this.#skipFrom = -1;
    for (; p < end && bytes[p] !== NEWLINE; p++) {
      const c = bytes[p];
      if (c === SPACE) this.#inFields = true;
      if (!this.#inFields || bytes[p - 1] !== EQUALS || (c !== QUOTE && c !== OPEN)) continue;
      const behind =
        c === QUOTE
          ? this.#strings.behindString(this.#strings.string(p))
          : this.#strings.behindList(p);
      this.isUnclosed ||= behind < 0 && this.#strings.isUnclosed;
      if (behind >= 0) {
        this.#newlines += this.#strings.newlines;
        p = behind - 1;
      } else if (this.#strings.brokenAt >= 0) {
        p = this.#strings.brokenAt;
        break;
      }
    }
    this.#at = p;
    this.lineEnd = p;
  }
}
