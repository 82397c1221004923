import { varintSize } from "../../otlp/build.ts";
import {
  AnyValue as ImportedAnyValue,
  KeyValue as ImportedKeyValue,
  LogRecord as ImportedLogRecord,
} from "../../otlp/tags.gen.ts";
import type { DoorOutput } from "../doors/door-output.ts";
import { sizeOfInt64 } from "../doors/door-record.ts";
import {
  Member as ImportedMember,
  MemberKind as ImportedMemberKind,
  MEMBER as ImportedMemberSize,
  type Members,
} from "./members.ts";

// A binding of another module is loaded and looked at wherever it stands; a constant of this one becomes part of the code.
const AnyValue = ImportedAnyValue;
const KeyValue = ImportedKeyValue;
const LogRecord = ImportedLogRecord;
const MEMBER = ImportedMemberSize;
const Member = ImportedMember;
const MemberKind = ImportedMemberKind;

/** Tags of an attribute, its key, its value and the text in it, where they stand in words of four bytes; the lengths are between them. */
const ATTRIBUTE = LogRecord.attributes | (KeyValue.key << 16);
const TEXT = KeyValue.value | (AnyValue.string_value << 16);

/** Writes members of a record as attributes of a LogRecord. Room for them must be there. */
export class RecordAttributes {
  readonly #members: Members;
  readonly #out: DoorOutput;

  constructor(members: Members, out: DoorOutput) {
    this.#members = members;
    this.#out = out;
  }

  /** An attribute with a short text, in whole words. False when its lengths take more than one byte: then nothing is written. */
  #shortText(i: number): boolean {
    const { table, texts } = this.#members;
    const key = table[i + Member.nameLength]!;
    const length = table[i + Member.length]!;
    const pair = key + length + 6;
    if (pair > 127) return false;
    const { view, length: start } = this.#out;
    const source = texts.view;
    view.setInt32(start, ATTRIBUTE | (pair << 8) | (key << 24), true);
    const name = table[i]!;
    for (let k = 0; k < key; k += 8)
      view.setBigUint64(start + 4 + k, source.getBigUint64(name + k, true), true);
    const value = start + 4 + key;
    view.setInt32(value, TEXT | ((length + 2) << 8) | (length << 24), true);
    const at = table[i + Member.at]!;
    for (let k = 0; k < length; k += 8)
      view.setBigUint64(value + 4 + k, source.getBigUint64(at + k, true), true);
    this.#out.length = value + 4 + length;
    return true;
  }

  /** The member as an attribute. */
  write(index: number): void {
    const { table, texts } = this.#members;
    const out = this.#out;
    const i = index * MEMBER;
    if (table[i + Member.kind] === MemberKind.text && this.#shortText(i)) return;
    const key = table[i + Member.nameLength]!;
    const value = this.valueSize(index);
    out.byte(LogRecord.attributes);
    out.varint(1 + varintSize(key) + key + 1 + varintSize(value) + value);
    out.byte(KeyValue.key);
    out.varint(key);
    out.copy(texts.view, table[i]!, key);
    out.byte(KeyValue.value);
    out.varint(value);
    this.value(index);
  }

  /** Bytes of the AnyValue. */
  valueSize(index: number): number {
    const { table } = this.#members;
    const i = index * MEMBER;
    const length = table[i + Member.length]!;
    switch (table[i + Member.kind]) {
      case MemberKind.boolean:
        return 2;
      case MemberKind.double:
        return 9;
      case MemberKind.integer:
        return 1 + sizeOfInt64(table[i + Member.at]!, length);
    }
    return 1 + varintSize(length) + length;
  }

  /** The member's AnyValue, without its length. */
  value(index: number): void {
    const { table, texts, numbers } = this.#members;
    const out = this.#out;
    const i = index * MEMBER;
    const at = table[i + Member.at]!;
    const length = table[i + Member.length]!;
    switch (table[i + Member.kind]) {
      case MemberKind.boolean:
        out.byte(AnyValue.bool_value);
        out.byte(at);
        return;
      case MemberKind.double:
        out.byte(AnyValue.double_value);
        out.double(numbers[index]!);
        return;
      case MemberKind.integer:
        out.byte(AnyValue.int_value);
        out.varint64(at, length);
        return;
    }
    out.byte(AnyValue.string_value);
    out.varint(length);
    out.copy(texts.view, at, length);
  }
}
