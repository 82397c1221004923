import { LogRecord } from "../../otlp/tags.gen.ts";
import { Constants } from "../../wire/copy.ts";
import type { DoorOutput } from "../doors/door-output.ts";
import { LEVELS, LevelWords } from "../loki/levels.ts";
import { MEMBER, Member, MemberKind, type Members, NAMES } from "./members.ts";

/** Levels as numbers are those of pino and bunyan: 10 is trace, 60 fatal. */
const STEP = 10;
const MOST = 60;

/** The severity of a record, from the members that are named for it (mapping §5). */
export class RecordLevel {
  readonly #members: Members;
  readonly #out: DoorOutput;
  readonly #words = new LevelWords();
  readonly #constants = new Constants(256);
  readonly #texts = LEVELS.map((word) => this.#constants.add(word));

  constructor(members: Members, out: DoorOutput) {
    this.#members = members;
    this.#out = out;
  }

  /** Writes `severity_number` and `severity_text` from the first member that is a level; it is no attribute then. */
  write(): void {
    const members = this.#members;
    let place = members.seek(NAMES.level, 0);
    for (; place >= 0; place = members.seek(NAMES.level, place + 1)) {
      const index = members.at(place);
      if (!this.#take(index * MEMBER)) continue;
      members.drop(index);
      return;
    }
  }

  #take(i: number): boolean {
    const { table, texts } = this.#members;
    const kind = table[i + Member.kind];
    const at = table[i + Member.at]!;
    const length = table[i + Member.length]!;
    if (kind === MemberKind.text) {
      if (length === 0) return false;
      this.#put(this.#words.get(texts.bytes, at, at + length), texts.view, at, length);
      return true;
    }
    const isLevel = kind === MemberKind.integer && length === 0 && at >= STEP && at <= MOST;
    if (!isLevel || at % STEP !== 0) return false;
    const word = this.#texts[at / STEP]!;
    this.#put(at / STEP, this.#constants.view, word.at, word.length);
    return true;
  }

  /** `level`: its number in LEVELS; 0 is unknown. The first severity number of each level is taken. */
  #put(level: number, source: DataView, from: number, length: number): void {
    const out = this.#out;
    if (level > 0) {
      out.byte(LogRecord.severity_number);
      out.byte(4 * level - 3);
    }
    out.byte(LogRecord.severity_text);
    out.varint(length);
    out.copy(source, from, length);
  }
}
