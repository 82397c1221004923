import { fluentTag, TAG_MAX } from "../../kit/doors/fluent-tag.ts";
import { type GivenAttributes, NOTHING_GIVEN } from "../../series/records/given-attributes.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import type { GivenTime } from "./bodies.ts";

/** Paths that are addresses and no tags. */
const ENDPOINTS = new Set(["/", "/logs/ingest", "/logs/json"]);
const NO_TIME: GivenTime = { low: 0, high: 0 };

/** The tag of a body as an attribute: from a header, else from the path as in_http of Fluentd makes it, `/app/web` → `app.web`. */
export function tagOf(path: string, header: string | undefined): GivenAttributes {
  const tag = header ?? (ENDPOINTS.has(path) ? "" : ofPath(path));
  return tag === "" ? NOTHING_GIVEN : fluentTag(tag);
}

function ofPath(path: string): string {
  return readable(path.slice(0, 3 * TAG_MAX).replace(/^\/+|\/+$/g, "")).replaceAll("/", ".");
}

/** What cannot be decoded stays as it is. */
function readable(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** `?time=` of in_http: the time of records that have none. */
export function timeOf(query: string): GivenTime {
  const value = query === "" ? null : new URLSearchParams(query).get("time");
  if (value === null) return NO_TIME;
  const text = new TimeText();
  const bytes = Buffer.from(`${value.slice(0, 100)}\0\0\0\0\0\0`);
  const kind = text.read(bytes, 0, bytes.length - 6);
  return kind === TimeKind.time ? { low: text.low, high: text.high } : NO_TIME;
}
