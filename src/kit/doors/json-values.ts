const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** Deepest nesting of a value, its own brackets counted. */
const DEPTH_MAX = 64;
/** Longest value in bytes: it is parsed in one go. */
const VALUE_MAX = 256 << 10;

/** Whether a line or datagram that begins with this byte is JSON. */
export function isJsonStart(c: number | undefined): boolean {
  return c === OPEN_OBJECT || c === OPEN_ARRAY;
}

/** Whether such a byte stands anywhere. */
export function hasJsonStart(bytes: Uint8Array): boolean {
  return bytes.includes(OPEN_OBJECT) || bytes.includes(OPEN_ARRAY);
}

/** Whether a text is JSON, by its first byte that is not blank. */
export function looksLikeJson(bytes: Uint8Array, from: number, to: number): boolean {
  let p = from;
  while (p < to && isBlank(bytes[p])) p++;
  return p < to && isJsonStart(bytes[p]);
}

/**
 * A cursor over the objects in a text: one, several behind one another (NDJSON), or those of an array. It only looks at quotes and
 * brackets; what is inside an object is for JSON.parse to say. What is damaged costs itself: the cursor goes on behind it, or at the next
 * line of it that begins with a brace or bracket; from then on an object ends on its line, so that no byte is looked at again and again.
 */
export class JsonValues {
  /** The object, its braces included. */
  at = 0;
  end = 0;
  /** Why there is no object here; "" when there is one. */
  problem = "";
  #bytes: Uint8Array = new Uint8Array(0);
  #next = 0;
  #to = 0;
  #isInArray = false;
  #isByLine = false;
  /** Deepest nesting of the value scanned last. */
  #depth = 0;

  /** Behind what was read so far. */
  get position(): number {
    return this.#next;
  }

  /** Sets the cursor before the first value of `bytes[from, to)`. */
  reset(bytes: Uint8Array, from: number, to: number): void {
    this.#bytes = bytes;
    this.#next = from;
    this.#to = to;
    this.#isInArray = false;
    this.#isByLine = false;
  }

  /** Moves to the next object, good or bad. False at the end. */
  next(): boolean {
    this.#skipSeparators();
    this.at = this.#next;
    this.problem = "";
    if (this.at >= this.#to) {
      if (!this.#isInArray) return false;
      this.#isInArray = false;
      this.problem = "an array has no closing bracket; what stood behind it may be lost";
      return true;
    }
    const first = this.#bytes[this.at];
    this.end = isJsonStart(first) ? this.#behind() : this.#behindWord();
    if (this.end < 0) this.#fail("a brace, bracket or string is not closed");
    else if (first !== OPEN_OBJECT)
      this.problem = 'a point is an object: {"measurement":"m","tags":{},"fields":{"v":1}}';
    else if (this.end - this.at > VALUE_MAX)
      this.problem = `a point is longer than ${VALUE_MAX} bytes`;
    else if (this.#depth > DEPTH_MAX) this.problem = `a point is nested deeper than ${DEPTH_MAX}`;
    if (this.end >= 0) this.#next = this.end;
    return true;
  }

  /** The object is not what its brackets promised: its next line that begins so is read again. */
  fail(problem: string): void {
    this.#fail(problem);
  }

  #fail(problem: string): void {
    this.problem = problem;
    const stop = this.end < 0 ? this.#to : this.end;
    this.#next = stop;
    for (let p = this.at; p + 1 < stop; p++)
      if (this.#bytes[p] === NEWLINE && isJsonStart(this.#bytes[p + 1])) {
        this.#next = p + 1;
        if (this.#bytes[p + 1] === OPEN_ARRAY) this.#isInArray = false;
        this.#isByLine = true;
        return;
      }
    if (this.end < 0) this.#isInArray = false;
  }

  /** Blanks, commas, and the brackets of the array around the objects. */
  #skipSeparators(): void {
    for (; this.#next < this.#to; this.#next++) {
      const c = this.#bytes[this.#next];
      if (isBlank(c) || c === COMMA) continue;
      if (c === OPEN_ARRAY && !this.#isInArray) this.#isInArray = true;
      else if (c === CLOSE_ARRAY && this.#isInArray) this.#isInArray = false;
      else return;
    }
  }

  /** Behind the value that opens at `at`, or -1. */
  #behind(): number {
    const bytes = this.#bytes;
    let depth = 0;
    this.#depth = 0;
    for (let p = this.at; p < this.#to; p++) {
      const c = bytes[p];
      if (c === QUOTE) {
        p = this.#closingQuote(p);
        if (p < 0) return -1;
      } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
        depth++;
        if (depth > this.#depth) this.#depth = depth;
      } else if (c === NEWLINE && this.#isByLine) return -1;
      else if ((c === CLOSE_OBJECT || c === CLOSE_ARRAY) && --depth === 0) return p + 1;
    }
    return -1;
  }

  /** The quote that closes the string at `p`, or -1. JSON has no newline inside strings. */
  #closingQuote(p: number): number {
    const bytes = this.#bytes;
    for (let q = p + 1; q < this.#to; q++) {
      const c = bytes[q];
      if (c === QUOTE) return q;
      if (c === NEWLINE) return -1;
      if (c === BACKSLASH) q++;
    }
    return -1;
  }

  /** Behind what is no object: up to the end of the line, or to what separates the elements of an array. */
  #behindWord(): number {
    let p = this.at;
    if (this.#bytes[p] === QUOTE) p = Math.max(p, this.#closingQuote(p));
    for (p++; p < this.#to; p++) {
      const c = this.#bytes[p];
      if (c === NEWLINE || (this.#isInArray && (c === COMMA || c === CLOSE_ARRAY))) break;
    }
    return p;
  }
}

function isBlank(c: number | undefined): boolean {
  return c === SPACE || c === NEWLINE || c === RETURN || c === TAB;
}
