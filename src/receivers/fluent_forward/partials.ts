import type { Lease } from "../../pipeline/contracts.ts";
import { Msgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";
import { withSlack } from "../../wire/slack.ts";
import type { Message } from "./message.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";

/** Lines of one connection that are being joined at once. Docker uses one connection for a container. */
export const LINES_MAX = 16;
/** Docker cuts lines after 16 KiB: a line has at most 256 parts. */
export const LINE_BYTES_MAX: number = 4 << 20;
/** A line that gets no part for so long goes on as it is. */
export const LINE_WAIT_MS = 10_000;
const MARKS = new Set(["partial_message", "partial_id", "partial_ordinal", "partial_last"]);
const NAME_BYTES = 16;
/** Docker's ids have 64 characters. */
const MARK_BYTES = 128;

/** One part of a line, as Docker's driver fluentd writes it. */
interface Part {
  readonly id: string;
  readonly ordinal: number;
  readonly isLast: boolean;
  readonly text: Uint8Array;
  /** The other members of the record, as they were written. */
  readonly others: readonly Uint8Array[];
}

/** A line of which parts have arrived. */
interface Line {
  readonly first: Message;
  readonly part: Part;
  readonly texts: Uint8Array[];
  readonly lease: Lease;
  bytes: number;
  ordinal: number;
  partAtMs: number;
}

/**
 * Lines that Docker has cut into messages become one record again. What is not complete in time goes on as it is, with the marks of its first
 * part, so that it can be seen. Only for senders that want no acknowledgement: a part that waits in memory is not durable.
 */
export class Partials {
  readonly #admit: (bytes: number) => Lease | undefined;
  readonly #lines = new Map<string, Line>();
  readonly #scan = new MsgpackScan();
  /** Of lines that were handed out. */
  readonly #leases: Lease[] = [];

  /** `admit`: memory for parts that wait; undefined where there is none. */
  constructor(admit: (bytes: number) => Lease | undefined) {
    this.#admit = admit;
  }

  /** Lines that are not complete. */
  get waiting(): number {
    return this.#lines.size;
  }

  /** What is to be stored now: the message when it is no part of a line, else lines that are complete or will not be. */
  take(message: Message, view: DataView, nowMs: number): readonly Message[] {
    const part = message.ack === undefined ? this.#partOf(message, view) : undefined;
    if (part === undefined) return [message];
    const line = this.#lines.get(part.id);
    const isNext =
      line !== undefined &&
      part.ordinal === line.ordinal + 1 &&
      line.bytes + part.text.length <= LINE_BYTES_MAX &&
      line.lease.grow(part.text.length);
    if (!isNext)
      return [
        ...(line === undefined ? [] : [this.#end(line)]),
        ...this.#begin(message, part, nowMs),
      ];
    line.texts.push(part.text);
    line.bytes += part.text.length;
    line.ordinal = part.ordinal;
    line.partAtMs = nowMs;
    return part.isLast ? [this.#end(line, line.part.ordinal === 1)] : [];
  }

  /** Lines that have waited for too long; without a time all. */
  late(nowMs: number = Number.POSITIVE_INFINITY): readonly Message[] {
    const late = [...this.#lines.values()].filter(
      ({ partAtMs }) => nowMs - partAtMs >= LINE_WAIT_MS,
    );
    return late.map((line) => this.#end(line));
  }

  /** What was handed out is settled. */
  release(): void {
    for (const lease of this.#leases.splice(0)) lease[Symbol.dispose]();
  }

  #begin(message: Message, part: Part, nowMs: number): readonly Message[] {
    if (part.isLast || part.text.length > LINE_BYTES_MAX) return [message];
    const lease = this.#admit(message.to - message.from);
    if (lease === undefined) return [message];
    const [oldest] = this.#lines.size === LINES_MAX ? this.#lines.values() : [];
    const ended = oldest === undefined ? [] : [this.#end(oldest)];
    this.#lines.set(part.id, {
      first: message,
      part,
      texts: [part.text],
      lease,
      bytes: part.text.length,
      ordinal: part.ordinal,
      partAtMs: nowMs,
    });
    return ended;
  }

  #end({ first, part, texts, bytes: length, lease }: Line, isWhole = false): Message {
    this.#lines.delete(part.id);
    this.#leases.push(lease);
    const marks = isWhole ? 0 : 2;
    const writer = new MsgpackWriter().largeMap(part.others.length / 2 + 1 + marks);
    if (!isWhole) writer.text("partial_message").text("true").text("partial_id").text(part.id);
    const record = writer
      .raw(...part.others)
      .text("log")
      .joined(texts, length)
      .take();
    return { ...first, bytes: withSlack(record), from: 0, to: record.length };
  }

  /** The part of a line that a message is; undefined for messages that are whole. */
  #partOf({ content, bytes, from, to }: Message, view: DataView): Part | undefined {
    if (content.kind !== "one") return undefined;
    // Most records have no such name anywhere, and finding that out is cheap.
    if (!Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).includes("partial_id"))
      return undefined;
    const scan = this.#scan;
    scan.begin(bytes, view, to);
    let p = scan.head(from);
    const marks = new Map<string, string>();
    const others: [number, number][] = [];
    let text: Uint8Array | undefined;
    for (let pairs = scan.count; pairs > 0; pairs--) {
      const nameAt = p;
      const valueAt = scan.skip(p);
      p = scan.skip(valueAt);
      const name = this.#textAt(nameAt, NAME_BYTES);
      if (name === "log") text = this.#bytesAt(valueAt);
      else if (name !== undefined && MARKS.has(name))
        marks.set(name, this.#textAt(valueAt, MARK_BYTES) ?? "");
      else others.push([nameAt, valueAt], [valueAt, p]);
    }
    const ordinal = Number(marks.get("partial_ordinal") ?? Number.NaN);
    const id = marks.get("partial_id") ?? "";
    if (id === "" || text === undefined || !Number.isSafeInteger(ordinal)) return undefined;
    const isLast = marks.get("partial_last") === "true";
    return { id, ordinal, isLast, text, others: others.map(([a, b]) => bytes.slice(a, b)) };
  }

  /** The text at `p` when it has at most `most` bytes. */
  #textAt(p: number, most: number): string | undefined {
    const scan = this.#scan;
    scan.head(p);
    if (scan.kind !== Msgpack.text || scan.length > most) return undefined;
    return Buffer.from(scan.bytes.buffer, scan.bytes.byteOffset + scan.at, scan.length).toString();
  }

  /** A copy of the text at `p`. */
  #bytesAt(p: number): Uint8Array | undefined {
    const scan = this.#scan;
    scan.head(p);
    const isText = scan.kind === Msgpack.text || scan.kind === Msgpack.bytes;
    return isText ? scan.bytes.slice(scan.at, scan.at + scan.length) : undefined;
  }
}
