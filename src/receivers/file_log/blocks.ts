import type { RE2JS } from "re2js";
import type { RecordDoor } from "../../series/records/record-door.ts";
import { wholeEnd } from "./characters.ts";
import { type Chunk, type Parter, type Taken, Turn } from "./chunk.ts";
import type { Config } from "./config.ts";
import type { Given } from "./given.ts";
import { LineEnds, markLength } from "./lines.ts";
import { Texts } from "./texts.ts";

/** Records of several lines: each begins, or ends, with a line in which a pattern is found. One that is too long is parted between lines. */
export class Blocks implements Parter {
  readonly #config: Config;
  readonly #ends: LineEnds;
  readonly #texts: Texts;
  readonly #start: RE2JS | undefined;
  readonly #end: RE2JS | undefined;

  constructor(config: Config) {
    this.#config = config;
    this.#ends = new LineEnds(config);
    this.#texts = new Texts(config);
    this.#start = config.multiline?.line_start_pattern;
    this.#end = config.multiline?.line_end_pattern;
  }

  part(chunk: Chunk, door: RecordDoor, given: Given): Taken {
    const { bytes, to } = chunk;
    const { max_log_size: most } = this.#config;
    const texts = this.#texts;
    const turn = new Turn();
    texts.begin(chunk);
    door.given = given.plain;
    let begin = chunk.from;
    if (chunk.isStart) begin += markLength(bytes, begin, to, this.#config);
    const take = (end: number) => {
      if (end > begin) texts.take(chunk, begin, end, door);
      begin = end;
    };
    let isOver = false;
    for (let p = begin; p < to && !isOver; ) {
      const behind = this.#ends.behind(bytes, p, to);
      const isOpen = behind < 0 && !chunk.isEnd;
      if (isOpen && !(chunk.isFull && begin === chunk.from)) break;
      const end = behind < 0 ? this.#bound(chunk, p) : behind;
      const line = texts.text(bytes.subarray(p, Math.min(end, p + most))).replace(/\r?\n$/, "");
      if (p > begin && (end - begin > most || this.#isStart(line))) {
        take(p);
        isOver = turn.isOver();
        if (isOver) break;
      }
      const isLong = end - begin > most || (isOpen && p === begin);
      if (isLong || this.#end?.matcher(line).find() === true) take(end);
      p = end;
      if (p >= to && chunk.isEnd) take(to);
      isOver = turn.isOver();
    }
    return { used: begin, isInside: false, skipped: 0, replaced: texts.replaced };
  }

  #isStart(line: string): boolean {
    return this.#start?.matcher(line).find() === true;
  }

  /** A line without an end: as much of it as a record may have. */
  #bound({ bytes, to }: Chunk, from: number): number {
    const { max_log_size: most, encoding } = this.#config;
    return to - from <= most ? to : wholeEnd(bytes, from, from + most, encoding);
  }
}

/** Not parted at all: what is there, up to the longest record, is one. */
export class Whole implements Parter {
  readonly #most: number;
  readonly #texts: Texts;

  constructor(config: Config) {
    this.#most = config.max_log_size;
    this.#texts = new Texts(config);
  }

  part(chunk: Chunk, door: RecordDoor, given: Given): Taken {
    const turn = new Turn();
    this.#texts.begin(chunk);
    door.given = given.plain;
    let p = chunk.from;
    while (p < chunk.to && (chunk.isEnd || chunk.to - p >= this.#most)) {
      const isLast = chunk.isEnd && chunk.to - p <= this.#most;
      const end = isLast ? chunk.to : wholeEnd(chunk.bytes, p, p + this.#most, "nop");
      this.#texts.take(chunk, p, end, door);
      p = end;
      if (turn.isOver()) break;
    }
    return { used: p, isInside: false, skipped: 0, replaced: this.#texts.replaced };
  }
}
