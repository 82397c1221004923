import { EventEntry } from "../../series/records/event-entry.ts";
import { Msgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";
import {
  CHUNK_MAX,
  CHUNK_TOO_LONG,
  type Message,
  NO_MAP,
  NO_RECORD,
  NO_TIME,
  TAG_IS_NO_TEXT,
} from "./message.ts";

/** More bytes of a tag are not looked at; it is cut at 256 characters. */
const TAG_BYTES = 1_024;
/** Longer names and values of options are none that mean something. */
const WORD_BYTES = 32;
/** A map with one pair, "ack". */
const ACK_HEAD = Uint8Array.of(0x81, 0xa3, 0x61, 0x63, 0x6b);
const NONE = { kind: "none" } as const;

interface Options {
  readonly ack?: Uint8Array;
  /** "": not compressed. */
  readonly coding: string;
  /** 0: logs, 1: metrics, 2: traces. */
  readonly signal: number;
  readonly problem?: string;
}

/** Reads whole messages of MessagePack. What is wrong in one costs that message only. */
export class MsgpackMessages {
  readonly #scan = new MsgpackScan();
  readonly #entry = new EventEntry();

  /** The message in `bytes[from, to)`: a list or nil. Memory that `view` shows, with SLACK behind `to`. */
  read(bytes: Uint8Array, view: DataView, from: number, to: number): Message {
    const scan = this.#scan;
    const nothing = { tag: "", bytes, from, to, content: NONE };
    scan.begin(bytes, view, to);
    const tagAt = scan.head(from);
    if (scan.kind === Msgpack.nil) return nothing;
    const { count } = scan;
    if (count < 2) return { ...nothing, problem: NO_RECORD };
    const at = scan.skip(tagAt);
    const hasTag = this.#isText(tagAt);
    const tag = hasTag ? this.#text(TAG_BYTES) : "";
    const behind = scan.skip(at);
    const contentAt = this.#isText(at) ? scan.at : scan.head(at);
    const isPacked = this.#isText(at);
    const isOne = !isPacked && scan.kind !== Msgpack.list;
    if (isOne && count < 3) return { ...nothing, problem: NO_RECORD };
    const end = isOne ? scan.skip(behind) : behind;
    const options = this.#options(end, count - (isOne ? 3 : 2));
    const message = {
      tag,
      bytes,
      from: isOne ? behind : contentAt,
      to: end,
      content: NONE,
      ...(options.ack !== undefined && { ack: options.ack }),
    };
    if (options.signal !== 0) return { ...message, isForeign: true };
    const problem = hasTag ? options.problem : TAG_IS_NO_TEXT;
    if (problem !== undefined) return { ...message, problem };
    if (isOne) return this.#one(message, view, at);
    const { coding } = options;
    const isPlain = !isPacked || coding === "";
    return { ...message, content: isPlain ? { kind: "entries" } : { kind: "compressed", coding } };
  }

  #one(message: Message, view: DataView, timeAt: number): Message {
    const entry = this.#entry;
    const { bytes, from, to } = message;
    if (entry.readTime(bytes, view, timeAt, to) < 0) return { ...message, problem: NO_TIME };
    this.#scan.head(from);
    if (this.#scan.kind !== Msgpack.map) return { ...message, problem: NO_MAP };
    return { ...message, content: { kind: "one", timeLow: entry.low, timeHigh: entry.high } };
  }

  /** The map at `p`, when elements are `left` there. */
  #options(p: number, left: number): Options {
    const scan = this.#scan;
    let options: Options = { coding: "", signal: 0 };
    if (left < 1) return options;
    let nameAt = scan.head(p);
    const { kind } = scan;
    if (kind === Msgpack.nil) return options;
    if (kind !== Msgpack.map) return { ...options, problem: "the options of a message are no map" };
    for (let pairs = scan.count; pairs > 0; pairs--) {
      const valueAt = scan.skip(nameAt);
      const name = this.#isText(nameAt) ? this.#text(WORD_BYTES) : "";
      nameAt = scan.skip(valueAt);
      const isText = this.#isText(valueAt);
      if (name === "chunk" && isText)
        options =
          scan.length > CHUNK_MAX
            ? { ...options, problem: CHUNK_TOO_LONG }
            : { ...options, ack: Buffer.concat([ACK_HEAD, scan.bytes.subarray(valueAt, nameAt)]) };
      else if (name === "compressed" && isText) {
        const coding = this.#text(WORD_BYTES);
        options = { ...options, coding: coding === "text" ? "" : coding };
      } else if (name === "fluent_signal" && scan.kind === Msgpack.integer)
        options = { ...options, signal: scan.low };
    }
    return options;
  }

  /** Whether the value at `p` is a text or bytes: senders write names and ids as either. It is the value of the scan then. */
  #isText(p: number): boolean {
    this.#scan.head(p);
    return this.#scan.kind === Msgpack.text || this.#scan.kind === Msgpack.bytes;
  }

  #text(most: number): string {
    const { bytes, at, length } = this.#scan;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(length, most)).toString();
  }
}
