import { Msgpack as ImportedMsgpack, MsgpackScan } from "../../wire/msgpack-scan.ts";
import { SLACK } from "../../wire/slack.ts";
import { GivenAttributes } from "./given-attributes.ts";
import { FLATTENED_MAX, PREFIX_MAX } from "./json-members.ts";
import {
  Layer as ImportedLayer,
  MemberKind as ImportedMemberKind,
  MEMBERS_MAX as ImportedMembersMax,
  type Members,
} from "./members.ts";
import { DEPTH_MAX, MsgpackText } from "./msgpack-json.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const Msgpack = ImportedMsgpack;
const Layer = ImportedLayer;
const MemberKind = ImportedMemberKind;
const MEMBERS_MAX = ImportedMembersMax;

const DOT = 0x2e;
const TOO_DEEP = `a record is nested at most ${DEPTH_MAX} deep`;
const TOO_MANY = `a record has at most ${MEMBERS_MAX} members`;
const CUT_OFF = "the record is cut off";
const NO_MSGPACK = "it holds a byte that is no MessagePack";
/** Name of the attribute with the metadata of an entry. */
const METADATA = new GivenAttributes([["fluent.metadata", ""]]);

/** MessagePack maps → members, by the same rules as JSON objects. */
export class MsgpackMembers {
  /** Why the last `read` gave -1. */
  problem = "";
  readonly #scan = new MsgpackScan();
  readonly #members: Members;
  readonly #text: MsgpackText;
  // Name of the map that is being flattened; its length is -1 at the top.
  #prefixAt = 0;
  #prefixLength = -1;

  constructor(members: Members) {
    this.#members = members;
    this.#text = new MsgpackText(this.#scan, members.texts);
  }

  /** Adds the members of the map at `from` in `bytes[from, to)`. Returns the position behind it, or -1 when there is none that can be taken. */
  read(bytes: Uint8Array, view: DataView, from: number, to: number, most: number): number {
    const scan = this.#scan;
    scan.begin(bytes, view, to);
    const first = scan.head(from);
    if (first < 0 || scan.kind !== Msgpack.map) return this.#refuse(from, "a record must be a map");
    const { count } = scan;
    // Usual records are read once: whether they are whole shows on the way.
    if (to - from > most && scan.skip(from) - from > most)
      return this.#refuse(from, `a record has at most ${most} bytes`);
    if (count + this.#members.count > MEMBERS_MAX) return this.#refuse(from, TOO_MANY);
    this.#prefixLength = -1;
    const end = this.#pairs(first, count);
    if (end < 0) return this.#refuse(from, TOO_DEEP);
    return this.#members.count > MEMBERS_MAX ? this.#refuse(from, TOO_MANY) : end;
  }

  /** Adds the map at `p` as the JSON text of one member, when there is something in it: an entry's metadata. False when it cannot be. */
  readMetadata(bytes: Uint8Array, view: DataView, p: number, to: number): boolean {
    const scan = this.#scan;
    const { texts } = this.#members;
    scan.begin(bytes, view, to);
    if (scan.head(p) < 0 || scan.count === 0) return true;
    texts.ensure(METADATA.length);
    const nameAt = this.#members.put(METADATA.view, 0, METADATA.length);
    const at = texts.length;
    if (this.#text.json(p) < 0) {
      this.problem = TOO_DEEP;
      return false;
    }
    this.#members.add(nameAt, METADATA.length, MemberKind.json, at, texts.length - at, Layer.given);
    return true;
  }

  /** `problem`: of a record that is whole. */
  #refuse(from: number, problem: string): -1 {
    const scan = this.#scan;
    if (scan.skip(from) >= 0) this.problem = problem;
    else this.problem = scan.isShort ? CUT_OFF : NO_MSGPACK;
    return -1;
  }

  /** `count` pairs at `p`; returns their end, or -1 for what is nested too deep or not whole. */
  #pairs(p: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const { texts } = this.#members;
      const nameAt = texts.length;
      if (this.#prefixLength >= 0) {
        texts.ensure(this.#prefixLength + SLACK);
        texts.copy(texts.view, this.#prefixAt, this.#prefixLength);
        texts.byte(DOT);
      }
      p = this.#name(p);
      if (p >= 0) p = this.#value(p, nameAt, texts.length - nameAt);
      if (p < 0) return -1;
    }
    return p;
  }

  /** A key that is no text becomes one. */
  #name(p: number): number {
    const scan = this.#scan;
    const end = scan.head(p);
    if (end < 0) return -1;
    if (scan.kind === Msgpack.list || scan.kind === Msgpack.map)
      return scan.skip(p) < 0 ? -1 : this.#text.json(p);
    this.#text.plain();
    return end;
  }

  #value(p: number, nameAt: number, nameLength: number): number {
    const scan = this.#scan;
    const members = this.#members;
    const end = scan.head(p);
    if (end < 0) return -1;
    const { kind } = scan;
    if (kind === Msgpack.list || kind === Msgpack.map) {
      if (scan.skip(p) < 0) return -1;
      scan.head(p);
    }
    if (kind === Msgpack.map && this.#isFlattened(nameLength)) {
      this.#prefixAt = nameAt;
      this.#prefixLength = nameLength;
      const behind = this.#pairs(end, scan.count);
      this.#prefixLength = -1;
      return behind;
    }
    const at = members.texts.length;
    if (kind === Msgpack.list || kind === Msgpack.map) {
      const behind = this.#text.json(p);
      this.#add(nameAt, nameLength, MemberKind.json, at, members.texts.length - at);
      return behind;
    }
    if (kind === Msgpack.nil) this.#add(nameAt, nameLength, MemberKind.none, 0, 0);
    else if (kind === Msgpack.boolean)
      this.#add(nameAt, nameLength, MemberKind.boolean, scan.low, 0);
    else if (kind === Msgpack.integer)
      this.#add(nameAt, nameLength, MemberKind.integer, scan.low, scan.high);
    else if (kind === Msgpack.double) {
      this.#add(nameAt, nameLength, MemberKind.double, at, 0);
      members.setDouble(scan.double[0]!);
    } else {
      this.#text.plain();
      this.#add(nameAt, nameLength, MemberKind.text, at, members.texts.length - at);
    }
    return end;
  }

  /** As in JSON: at the top, with a short name, and neither empty nor of too many members. */
  #isFlattened(nameLength: number): boolean {
    const { count } = this.#scan;
    return (
      this.#prefixLength < 0 &&
      nameLength <= PREFIX_MAX &&
      count > 0 &&
      count <= FLATTENED_MAX &&
      count + this.#members.count <= MEMBERS_MAX
    );
  }

  #add(
    nameAt: number,
    nameLength: number,
    kind: ImportedMemberKind,
    low: number,
    high: number,
  ): void {
    this.#members.add(nameAt, nameLength, kind, low, high, Layer.record);
  }
}
