import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Memo } from "../../journal/journal.ts";
import { Turns } from "../../kit/delivery/turns.ts";
import { RareLog } from "../../kit/doors/rare-log.ts";
import { isRefusal, type Refusal } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import { ArrivalTime } from "../../series/records/arrival-time.ts";
import { RecordDoor } from "../../series/records/record-door.ts";
import { SLACK } from "../../wire/slack.ts";
import { Blocks, Whole } from "./blocks.ts";
import { wholeEnd } from "./characters.ts";
import type { Chunk, Parter, Taken } from "./chunk.ts";
import type { Config } from "./config.ts";
import { Container } from "./container.ts";
import type { Contents } from "./contents.ts";
import { inodeOf, isGone } from "./finder.ts";
import { type Followed, isPrintOf, printOf, TAIL_BYTES } from "./followed.ts";
import { givenOf } from "./given.ts";
import { HandOver } from "./hand-over.ts";
import { Lines } from "./lines.ts";
import { LogsJson } from "./logs-json.ts";
import { GzipSource, PlainSource, type Source } from "./source.ts";

const { O_NONBLOCK, O_RDONLY } = constants;
/** Bytes that are read at once, where no record is longer. */
export const CHUNK_BYTES: number = 256 << 10;
/** Less is not tried where a queue is smaller than what was read. */
const LEAST_BYTES = 1 << 10;
/** Read beyond the size that was seen last: it may have grown. */
const BEYOND_BYTES = 4 << 10;
/** A file of the Dart Cloud logger is read as a whole. */
const WHOLE_MAX = 16 << 20;
const LOG_EVERY_MS = 60_000;

/**
 * What a turn of a file came to. "more": there may be more to read. "idle": until it grows. "later": in a moment. "moved": it is no longer where
 * it was found. A refusal: nothing can be taken now; nothing was.
 */
export type Outcome = "more" | "idle" | "later" | "moved" | Refusal;

/** Reads files, a stretch at a time, and hands what they hold to the pipelines; the position moves with the records, or not at all. */
export class Reading {
  readonly #config: Config;
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #contents: Contents;
  readonly #parter: Parter;
  readonly #door: RecordDoor;
  readonly #turns = new Turns();
  readonly #handOver: HandOver;
  readonly #broken = new RareLog(LOG_EVERY_MS);
  readonly #replaced: Counter;
  /** Largest stretch: a record that is longer than may be must be seen to be so. */
  readonly #most: number;

  constructor(config: Config, context: Context, intake: Intake, contents: Contents) {
    this.#config = config;
    this.#context = context;
    this.#intake = intake;
    this.#contents = contents;
    this.#parter = parterOf(config);
    this.#handOver = new HandOver(config, context, intake);
    const { service_name: serviceName } = config;
    const named = serviceName !== undefined && { serviceName };
    this.#door = new RecordDoor({ arrival: new ArrivalTime(true), ...named });
    // `Texts` and `LogsJson` give nothing else.
    this.#door.isKnownUtf8 = true;
    this.#most = 2 * config.max_log_size + CHUNK_BYTES;
    this.#replaced = context.meter.counter(
      "weir_file_log_replaced_texts_total",
      "Records with bytes that are not of the file's encoding: these became U+FFFD.",
      { receiver: context.id },
    );
  }

  /** One turn of a file. Rejects with what the system says of the file. */
  async turn(file: Followed): Promise<Outcome> {
    if (file.isDone) return "idle";
    const source = await this.#open(file);
    if (source === undefined) return "moved";
    if (this.#config.format === "logs_json") return this.#readWhole(file, source);
    if (!file.isIdentified || file.head.bytes === undefined) {
      const outcome = await this.#identify(file, source);
      if (outcome !== undefined) return outcome;
    }
    let refused: Refusal | undefined;
    for (let bytes = CHUNK_BYTES; ; ) {
      const outcome = await this.#readChunk(file, source, bytes);
      if (outcome === "larger") {
        if (refused !== undefined) return refused;
        bytes = Math.min(2 * bytes, this.#most);
      } else if (
        typeof outcome !== "string" &&
        outcome.kind === "too_large" &&
        bytes > LEAST_BYTES
      ) {
        // Larger than a whole queue: fewer lines may fit.
        refused = outcome;
        bytes >>= 1;
      } else return outcome;
    }
  }

  /** Size of an open file; undefined when it is not open, or not as it lies on the disk. */
  async sizeOf({ source }: Followed): Promise<number | undefined> {
    if (!(source instanceof PlainSource)) return undefined;
    return (await source.handle.stat()).size;
  }

  /** Keeps memos without any record. */
  keep(memos: readonly Memo[]): Promise<Refusal | undefined> {
    return this.#handOver.keep(memos);
  }

  /** Begins at the present end: nothing of what is there is taken. */
  async skip(file: Followed): Promise<void> {
    const source = await this.#open(file);
    if (source === undefined) return;
    if (this.#config.format === "logs_json") {
      const logs = await this.#lookThrough(file, source, WHOLE_MAX);
      logs?.skip();
      file.mark = logs?.mark() ?? {};
      return;
    }
    if (file.isArchive) {
      file.isDone = true;
      file.head = printOf(await readSome(source, 0, this.#config.fingerprint_size));
      return;
    }
    const length = Math.min(TAIL_BYTES, file.size);
    const at = file.size - length;
    const bytes = await readSome(source, at, length);
    // Half of a character is read when the other half comes.
    const end = wholeEnd(bytes, at & 1, bytes.length, this.#config.encoding);
    file.offset = at + end;
    file.tail = printOf(bytes.subarray(0, end));
    file.head = printOf(
      await readSome(source, 0, Math.min(file.size, this.#config.fingerprint_size)),
    );
    file.isIdentified = true;
  }

  /** Undefined when the path leads to nothing, or to another file by now. */
  async #open(file: Followed): Promise<Source | undefined> {
    if (file.source !== undefined) return file.source;
    const { path, inode, isArchive } = file;
    const handle = await open(path, O_RDONLY | O_NONBLOCK).catch((error: unknown) => {
      if (isGone(error)) return undefined;
      throw error;
    });
    if (handle === undefined) return undefined;
    const isByPath = this.#config.format === "logs_json";
    if (!isByPath && inodeOf(await handle.stat({ bigint: true })) !== inode) {
      await handle.close();
      return undefined;
    }
    file.source = isArchive ? new GzipSource(handle) : new PlainSource(handle);
    return file.source;
  }

  #givenOf(file: Followed) {
    file.given ??= givenOf(file.path, this.#config);
    return file.given;
  }

  /** Finds out what was read of the content already; undefined: go on. */
  async #identify(file: Followed, source: Source): Promise<Outcome | undefined> {
    const { fingerprint_size: most } = this.#config;
    // One that an earlier process has read is known by as much as was a fingerprint then.
    const head = await readSome(source, 0, Math.max(most, file.head.length));
    if (head.length === 0) return "idle";
    if (file.isIdentified || file.offset > 0) {
      // A file that an earlier process has read.
      if (!isPrintOf(file.head, head)) return this.#restart(file);
      file.head = printOf(head.subarray(0, Math.min(most, file.head.length)));
      file.isIdentified = true;
      return undefined;
    }
    // So that others which begin alike wait for this one.
    file.head = printOf(head);
    const identity = await this.#contents.identify(
      file,
      head,
      async (offset, length) => readSome(source, offset - length, length),
      isStill,
    );
    if (identity === "wait") return "later";
    if (identity === "own") {
      file.isIdentified = true;
      return undefined;
    }
    identity.file.head = printOf(head);
    await identity.closing?.close();
    return "more";
  }

  /** The content is another one than before. */
  #restart(file: Followed): Outcome {
    this.#contents.restart(file);
    return "later";
  }

  async #readChunk(file: Followed, source: Source, most: number): Promise<Outcome | "larger"> {
    const left = Math.max(0, file.size - file.offset) + BEYOND_BYTES;
    const size = file.isArchive ? most : Math.min(most, left);
    const admitted = this.#intake.admit("logs", size, "file");
    if (isRefusal(admitted)) return admitted;
    using lease = admitted;
    const { tail } = file;
    const bytes = Buffer.allocUnsafeSlow(tail.length + size + SLACK);
    const room = bytes.subarray(0, tail.length + size);
    const end = await source.read(room, file.offset - tail.length);
    if (!isPrintOf(tail, bytes.subarray(0, Math.min(end, tail.length)))) return this.#restart(file);
    const length = end - tail.length;
    const isShort = end < room.length;
    const { fingerprint_size: fingerprint, force_flush_period: flushMs } = this.#config;
    if (file.offset === 0) file.head = printOf(bytes.subarray(0, Math.min(end, fingerprint)));
    if (length === 0) return this.#atEnd(file);
    const idleMs = performance.now() - file.grewAtMs;
    // What is behind the size that was seen has just come.
    const isSeen = file.offset + length <= file.size;
    const isFlushed = flushMs > 0 && idleMs >= flushMs && isSeen;
    // Half of a character waits for its other half, also where a line does not: what follows would be read askew.
    const isLast = isShort && (file.isArchive || (isFlushed && file.isGone));
    const to = isLast ? end : wholeEnd(bytes, tail.length, end, this.#config.encoding);
    if (to === tail.length) return file.isGone ? this.#stuck() : "idle";
    await this.#turns.next();
    const chunk: Chunk = {
      bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      from: tail.length,
      to,
      isStart: file.offset === 0,
      isEnd: isShort && (file.isArchive || isFlushed),
      isFull: most >= this.#most,
      isInside: file.isInside,
    };
    this.#door.arrive(this.#context.nowMs());
    const taken = this.#parter.part(chunk, this.#door, this.#givenOf(file));
    if (taken.used === chunk.from && taken.isInside === file.isInside)
      return isShort ? this.#stuck() : "larger";
    const refusal = await this.#submit(file, chunk, taken, lease);
    if (refusal !== undefined) return refusal;
    return isShort && taken.used === to && !file.isArchive ? "idle" : "more";
  }

  async #atEnd(file: Followed): Promise<Outcome> {
    if (!file.isArchive) return "idle";
    file.isDone = true;
    return (await this.#handOver.keep([{ key: file.key, text: file.memo() }])) ?? "idle";
  }

  /** What is there is no whole record: it is looked at again when it has grown, or when it has not for long enough. */
  #stuck(): Outcome {
    return this.#config.force_flush_period > 0 ? "later" : "idle";
  }

  /** Hands over what was taken, with the new position; undefined when both are kept. */
  async #submit(
    file: Followed,
    { bytes, from, isStart }: Chunk,
    taken: Taken,
    lease: Lease,
  ): Promise<Refusal | undefined> {
    const { bytes: request, length, items } = this.#door.finish();
    const { used, skipped, replaced } = taken;
    const { head, tail, offset, isInside } = file;
    if (isStart || file.head.length < this.#config.fingerprint_size)
      file.head = this.#grownHead(file, bytes.subarray(from, used));
    file.tail = printOf(bytes.subarray(Math.max(0, used - TAIL_BYTES), used));
    file.offset += used - from;
    file.isInside = taken.isInside;
    const refusal = await this.#handOver.hand(file, { request, length, items }, lease);
    if (refusal !== undefined) {
      Object.assign(file, { head, tail, offset, isInside });
      return refusal;
    }
    if (replaced > 0) this.#replaced.add(replaced);
    if (skipped > 0) this.#handOver.leftOut(file, skipped);
    return undefined;
  }

  #grownHead(file: Followed, more: Uint8Array) {
    const old = file.head.bytes ?? new Uint8Array(0);
    if (file.offset > old.length) return file.head;
    const whole = Buffer.concat([old.subarray(0, file.offset), more]);
    return printOf(whole.subarray(0, this.#config.fingerprint_size));
  }

  /** A file that is written anew as a whole: what is new in it. */
  async #readWhole(file: Followed, source: Source): Promise<Outcome> {
    await source.close();
    file.source = undefined;
    const { size } = file;
    const most = file.isArchive ? WHOLE_MAX : Math.min(WHOLE_MAX, size + BEYOND_BYTES);
    if (size > WHOLE_MAX)
      throw new Error(`it has ${size} bytes; a file of format logs_json has at most ${WHOLE_MAX}`);
    const admitted = this.#intake.admit("logs", most, "file");
    if (isRefusal(admitted)) return admitted;
    using _lease = admitted;
    const fresh = await this.#open(file);
    if (fresh === undefined) return "moved";
    const logs = await this.#lookThrough(file, fresh, most);
    if (logs === undefined) return "idle";
    return logs.problem === ""
      ? this.#takeWhole(file, logs)
      : this.#halfWritten(file, logs.problem);
  }

  /** Undefined: there is nothing in it. Rejects with what the system says. */
  async #lookThrough(file: Followed, source: Source, most: number): Promise<LogsJson | undefined> {
    const bytes = new Uint8Array(most + SLACK);
    const length = await source.read(bytes.subarray(0, most), 0);
    await source.close();
    file.source = undefined;
    if (length === 0) return undefined;
    const logs = new LogsJson(bytes, length, file.mark);
    do await this.#turns.next();
    while (logs.step());
    return logs;
  }

  /** Part by part: each moves the mark. */
  async #takeWhole(file: Followed, logs: LogsJson): Promise<Outcome> {
    let most = Number.POSITIVE_INFINITY;
    for (let isMore = true; isMore; ) {
      await this.#turns.next();
      const { mark } = file;
      const before = logs.mark();
      this.#door.arrive(this.#context.nowMs());
      isMore = logs.take(this.#door, this.#givenOf(file), most);
      const { bytes: request, length, items } = this.#door.finish();
      if (items === 0) return "idle";
      const admitted = this.#intake.admit("logs", 0, "file");
      if (isRefusal(admitted)) return admitted;
      using lease = admitted;
      file.mark = logs.mark();
      const refusal = await this.#handOver.hand(file, { request, length, items }, lease);
      if (refusal === undefined) {
        if (logs.replaced > 0) this.#replaced.add(logs.replaced);
        continue;
      }
      file.mark = mark;
      if (refusal.kind !== "too_large" || items === 1) return refusal;
      // Larger than a whole queue: fewer entries may fit.
      logs.rewind(before);
      most = items >> 1;
      isMore = true;
    }
    return "idle";
  }

  /** The rest makes it change again; what stays so is no such file, and said. */
  #halfWritten(file: Followed, problem: string): Outcome {
    if (file.stuckAt !== file.size) {
      file.stuckAt = file.size;
      return "later";
    }
    this.#broken.say(1, `${file.path}: ${problem}`, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn(
        { reasons },
        "files are not what format logs_json says; they are read again when they change",
      ),
    );
    return "idle";
  }
}

/** Who parts files of such a configuration into records. */
export function parterOf(config: Config): Parter {
  if (config.encoding === "nop") return new Whole(config);
  if (config.multiline !== undefined) return new Blocks(config);
  const isContainer = ["container", "docker", "cri"].includes(config.format);
  return isContainer ? new Container(config) : new Lines(config);
}

/** Whether the file has the bytes that were read last; a file without a name has. */
async function isStill({ path, inode, offset, tail, isArchive }: Followed): Promise<boolean> {
  if (isArchive) return true;
  try {
    await using handle = await open(path, O_RDONLY | O_NONBLOCK);
    if (inodeOf(await handle.stat({ bigint: true })) !== inode) return true;
    const bytes = await readSome(new PlainSource(handle), offset - tail.length, tail.length);
    return isPrintOf(tail, bytes);
  } catch {
    return true;
  }
}

async function readSome(source: Source, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, length));
  return bytes.subarray(0, at < 0 ? 0 : await source.read(bytes, at));
}
