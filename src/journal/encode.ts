import { crc32 } from "node:zlib";
import type { Batch } from "../otlp/batch.ts";
import type { Seq } from "../otlp/range.ts";
import { SIGNALS } from "../otlp/tape.ts";
import { type Checkpoint, type Delta, encodeJson } from "./checkpoint.ts";
import type { Frame, Memo, Routes } from "./journal.ts";
import {
  encodeGroupHeader,
  encodeRecordHeader,
  GROUP_HEADER,
  type RecordHeader,
  RecordType,
  recordHeaderLength,
  recordLength,
} from "./layout.ts";
import { memoEntries } from "./memos.ts";
import type { FrameEntry } from "./segment.ts";

const NO_BYTES = new Uint8Array(0);
const NO_ROUTES = new Uint32Array(0);

/** A record without its place: what can be computed before the write is formed. */
export interface Draft extends RecordHeader {
  readonly noteBytes: Uint8Array;
  readonly payloadBytes: Uint8Array;
  /** Frames only: kept for readers that are close behind. */
  readonly batch?: Batch;
}

/** One atomic group before it has a place. */
export interface GroupDraft {
  readonly records: readonly Draft[];
  /** On disk, header included. */
  readonly bytes: number;
}

/** `isVolatile`: nobody will check the body. */
export function draftFrame(frame: Frame, routes: Routes, isVolatile: boolean): Draft {
  const { batch, arrivalMs } = frame;
  const noteBytes = frame.note ?? NO_BYTES;
  const payloadBytes = batch.bytes.subarray(0, batch.length);
  const noteCrc = noteBytes.length > 0 && !isVolatile ? crc32(noteBytes) : 0;
  const bodyCrc = isVolatile ? 0 : crc32(payloadBytes, noteCrc);
  return {
    type: RecordType.frame,
    signal: batch.signal,
    seq: 0,
    arrivalMs,
    items: batch.items,
    note: noteBytes.length,
    payload: batch.length,
    bodyCrc,
    routes,
    noteBytes,
    payloadBytes,
    batch,
  };
}

export function draftCheckpoint(checkpoint: Checkpoint): Draft {
  return draftJson(RecordType.checkpoint, encodeJson(checkpoint));
}

/** The records of a group that are no frames: none, one or both. */
export function draftChanges(deltas: readonly Delta[], memos: readonly Memo[]): Draft[] {
  const records: Draft[] = [];
  if (deltas.length > 0) records.push(draftJson(RecordType.delta, encodeJson(deltas)));
  if (memos.length > 0) records.push(draftJson(RecordType.memos, encodeJson(memoEntries(memos))));
  return records;
}

function draftJson(type: RecordType, payloadBytes: Uint8Array): Draft {
  return {
    ...{ type, signal: "logs", seq: 0, arrivalMs: 0, items: 0, note: 0 },
    payload: payloadBytes.length,
    bodyCrc: crc32(payloadBytes),
    routes: NO_ROUTES,
    noteBytes: NO_BYTES,
    payloadBytes,
  };
}

export function draftGroup(records: readonly Draft[]): GroupDraft {
  let bytes = GROUP_HEADER;
  for (const { routes, note, payload } of records)
    bytes += recordLength(routes.length, note, payload);
  return { records, bytes };
}

/** What goes to the disk in one write, and where each frame will be. */
export interface Encoded {
  readonly parts: readonly Uint8Array[];
  readonly end: number;
  readonly frames: readonly FrameEntry[];
}

/**
 * Gives groups their places from `at`. All headers stand in one memory; notes and payloads are referred to, not copied. Frames take
 * the numbers from `seq` on, or keep those that they have.
 */
export function encodeGroups(
  groups: readonly GroupDraft[],
  place: { readonly seed: number; readonly at: number; readonly writeAt: number },
  seq: Seq | "kept",
  groupNumber: number,
): Encoded {
  let headers = 0;
  for (const { records } of groups) {
    headers += GROUP_HEADER;
    for (const { routes } of records) headers += recordHeaderLength(routes.length);
  }
  const memory = new Uint8Array(headers);
  const view = new DataView(memory.buffer);
  const parts: Uint8Array[] = [];
  const frames: FrameEntry[] = [];
  let from = 0;
  let end = 0;
  let offset = place.at;
  let nextSeq = seq === "kept" ? 0 : seq;
  for (const [index, group] of groups.entries()) {
    const groupAt = end;
    const firstSeq = seq === "kept" ? (group.records[0]?.seq ?? 0) : nextSeq;
    const { length } = group.records;
    const header = { length: group.bytes, records: length, writeAt: place.writeAt, firstSeq };
    encodeGroupHeader(
      view,
      groupAt,
      { ...header, number: groupNumber + index },
      place.seed,
      offset,
    );
    end += GROUP_HEADER;
    offset += GROUP_HEADER;
    for (const record of group.records) {
      const isFrame = record.type === RecordType.frame;
      const numbered = isFrame && seq !== "kept" ? { ...record, seq: nextSeq++ } : record;
      if (isFrame) frames.push(entryOf(numbered, offset));
      const headerEnd = encodeRecordHeader(view, end, numbered, place.seed, offset);
      offset += headerEnd - end + record.note + record.payload;
      end = headerEnd;
      if (record.note + record.payload === 0) continue;
      parts.push(memory.subarray(from, end));
      from = end;
      if (record.note > 0) parts.push(record.noteBytes);
      if (record.payload > 0) parts.push(record.payloadBytes);
    }
  }
  if (from < end) parts.push(memory.subarray(from, end));
  return { parts, end: offset, frames };
}

function entryOf(record: Draft, offset: number): FrameEntry {
  const { seq, routes, note, payload, items, arrivalMs } = record;
  const size = recordLength(routes.length, note, payload);
  const signal = SIGNALS.indexOf(record.signal);
  return { seq, offset, size, payload, items, arrivalMs, signal, routes };
}
