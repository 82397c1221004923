import { JsonPoints } from "../../kit/doors/json-points.ts";
import { looksLikeJson } from "../../kit/doors/json-values.ts";
import { BodyLines, type LineSource } from "../../kit/doors/line-requests.ts";
import type { Body } from "../../kit/server/compression.ts";
import type { Precision } from "../../line/time.ts";
import type { LineDoor } from "../../series/doors/door.ts";
import { DEFAULT_MEASUREMENT, writePbJson } from "./pbjson-points.ts";
import { ProtobufPoints } from "./protobuf-points.ts";

/** What the points of a body are written in. */
export type PointFormat = "lines" | "json" | "protobuf";

/**
 * By the content type, as in DataKit. A body of no such type that begins with a bracket or brace is JSON all the same: no line does, and
 * curl says application/x-www-form-urlencoded of everything.
 */
export function formatOf(contentType: string | undefined, { bytes, length }: Body): PointFormat {
  const type = (contentType ?? "").toLowerCase();
  if (type.includes("application/json")) return "json";
  const [kind = "", parameter = ""] = type.split(";").map((part) => part.trim());
  const isPoint = parameter === "proto=com.guance.point" || parameter === "";
  if (kind === "application/pbjson" && isPoint) return "json";
  if (kind === "application/protobuf" && isPoint) return "protobuf";
  return looksLikeJson(bytes, 0, length) ? "json" : "lines";
}

/** Reads some points at a time as lines of line protocol. */
export interface PointReader {
  /** Lines of the points read last, from 0 to `length`. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly length: number;
  /** Of the points read last. */
  readonly bad: number;
  readonly firstBad: string;
  readonly replacedTimes: number;
  readonly lostCharacters: number;
  /** Reads the points of about the next `size` bytes. False when there are no more. */
  readSome(size: number): boolean;
}

/** Reads the points of a body that is not lines. */
export function readerOf(
  format: Exclude<PointFormat, "lines">,
  { bytes, length }: Body,
): PointReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === "protobuf") return new ProtobufPoints(bytes, view, length);
  const points = new JsonPoints({
    defaultMeasurement: DEFAULT_MEASUREMENT,
    // As DataKit takes them: a sender whose 3.0 is written as 3 would change its type all the time.
    areFloats: true,
    ofFieldList: writePbJson,
  });
  points.begin(bytes, view, 0, length);
  return points;
}

/** The points of a body, for a door. `precision`: of lines; points of the other formats have nanoseconds, or times by their size. */
export function pointsOf(
  format: PointFormat,
  body: Body,
  receivedMs: number,
  precision: Precision,
): LineSource {
  const { bytes, length } = body;
  if (format !== "lines") return new DecodedPoints(length, readerOf(format, body), receivedMs);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new BodyLines(length, (door) => door.begin(bytes, view, 0, length, receivedMs, precision));
}

/** Points that become lines before they come to the door. */
class DecodedPoints implements LineSource {
  readonly bytes: number;
  bad = 0;
  firstBad = "";
  replacedTimes = 0;
  lostCharacters = 0;
  readonly #reader: PointReader;
  readonly #receivedMs: number;

  constructor(bytes: number, reader: PointReader, receivedMs: number) {
    this.bytes = bytes;
    this.#reader = reader;
    this.#receivedMs = receivedMs;
  }

  fill(door: LineDoor, size: number): boolean {
    const reader = this.#reader;
    const isMore = reader.readSome(size);
    this.bad += reader.bad;
    this.firstBad ||= reader.firstBad;
    this.replacedTimes += reader.replacedTimes;
    this.lostCharacters += reader.lostCharacters;
    door.append(reader.bytes, reader.view, 0, reader.length, this.#receivedMs, "ns");
    return isMore;
  }
}
