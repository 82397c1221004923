import { MsgpackScan } from "../../wire/msgpack-scan.ts";
import { Fault } from "./fault.ts";

/**
 * Finds the ends of the messages of a stream, however it is cut into reads. Every byte is looked at once: what was seen of an unfinished
 * message is remembered.
 */
export interface Frames {
  /** The bytes so far are `bytes[0, length)`; those that were there before have not changed. */
  see(bytes: Uint8Array, view: DataView, length: number): void;
  /** Where the message behind `p` begins, as far as that is there: between messages there may be white space. */
  start(p: number): number;
  /** End of the message that begins at `from`; -1: it is not whole yet. Throws a Fault where none can begin. */
  end(from: number): number;
}

/** What the first byte of a connection says of all its messages. */
export function isJsonStream(first: number): boolean {
  return first === OPEN_OBJECT || first === OPEN_LIST;
}

export function framesOf(isJson: boolean): Frames {
  return isJson ? new JsonFrames() : new MsgpackFrames();
}

/** First bytes of MessagePack values. */
const SHORT_LIST = 0x90;
const NIL = 0xc0;
const LIST_16 = 0xdc;
const LIST_32 = 0xdd;

const QUOTE = 0x22;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

class MsgpackFrames implements Frames {
  readonly #scan = new MsgpackScan();
  #isInside = false;
  #p = 0;

  see(bytes: Uint8Array, view: DataView, length: number): void {
    this.#scan.begin(bytes, view, length);
  }

  start(p: number): number {
    return p;
  }

  end(from: number): number {
    const scan = this.#scan;
    if (!this.#isInside) {
      if (from >= scan.end) return -1;
      this.#check(from);
      this.#isInside = true;
      this.#p = from;
      scan.missing = 1;
    }
    const p = scan.skipSome(this.#p);
    if (p < 0) throw new Fault("invalid", "a message holds a byte that is no MessagePack");
    this.#p = p;
    if (scan.missing > 0) return -1;
    this.#isInside = false;
    return p;
  }

  /** Messages are lists, heartbeats nil. Of anything else nobody knows where the next message begins. */
  #check(from: number): void {
    const first = this.#scan.bytes[from] ?? 0;
    if ((first & 0xf0) === SHORT_LIST || first === LIST_16 || first === LIST_32 || first === NIL)
      return;
    const hint = first === 0x16 ? ", it speaks TLS, which this listener does not" : "";
    throw new Fault(
      "invalid",
      `no message of the forward protocol begins with the byte 0x${first.toString(16)}${hint}`,
    );
  }
}

class JsonFrames implements Frames {
  #bytes: Uint8Array = new Uint8Array(0);
  #length = 0;
  #from = -1;
  #p = 0;
  #depth = 0;
  #isText = false;

  see(bytes: Uint8Array, _view: DataView, length: number): void {
    this.#bytes = bytes;
    this.#length = length;
  }

  start(p: number): number {
    while (p < this.#length && isSpace(this.#bytes[p] ?? 0)) p++;
    return p;
  }

  end(from: number): number {
    if (from !== this.#from) {
      if (from >= this.#length) return -1;
      this.#check(this.#bytes[from] ?? 0);
      this.#from = this.#p = from;
      this.#depth = 0;
    }
    for (; this.#p < this.#length; this.#p++) {
      const c = this.#bytes[this.#p] ?? 0;
      if (!this.#isText) {
        if (c === QUOTE) this.#isText = true;
        else if (c === OPEN_LIST || c === OPEN_OBJECT) this.#depth++;
        else if ((c === CLOSE_LIST || c === CLOSE_OBJECT) && --this.#depth === 0)
          return this.#p + 1;
      } else if (c === QUOTE) this.#isText = false;
      else if (c === BACKSLASH) {
        // What it escapes may not be there yet: then both are looked at later.
        if (this.#p + 1 === this.#length) return -1;
        this.#p++;
      }
    }
    return -1;
  }

  #check(first: number): void {
    if (isJsonStream(first)) return;
    const what = JSON.stringify(String.fromCharCode(first));
    throw new Fault(
      "invalid",
      `no JSON message begins with ${what}: expected [ behind the last one`,
    );
  }
}

function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 9 && c <= 13);
}
