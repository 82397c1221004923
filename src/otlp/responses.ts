import { type ErrorKind, STATUS } from "./status.ts";
import type { Signal } from "./tape.ts";

/** Bodies of OTLP answers (specification 1.11, "OTLP/HTTP Response" and "Failures"). Written rarely, so plain code. */

export type Encoding = "protobuf" | "json";

/** Answers stay far below the 4 MiB that clients must accept: texts are cut here. */
const LONGEST_TEXT = 2_048;
const VARINT = 0;
const LENGTH_DELIMITED = 2;
const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest";

const REJECTED_FIELD: Readonly<Record<Signal, string>> = {
  logs: "rejectedLogRecords",
  metrics: "rejectedDataPoints",
  traces: "rejectedSpans",
};

/** What a `google.rpc.Status` says. */
export interface StatusAnswer {
  readonly kind: ErrorKind;
  readonly why: string;
  /** 0 = no RetryInfo. */
  readonly retryAfterMs: number;
}

/** Full success: `partial_success` must be unset, so nothing at all in protobuf and `{}` in JSON. */
export function successBody(encoding: Encoding): Uint8Array {
  return encoding === "json" ? encode("{}") : NOTHING;
}

/** 200 with a count: the sender must not send these items again. */
export function partialSuccessBody(
  signal: Signal,
  rejected: number,
  why: string,
  encoding: Encoding,
): Uint8Array {
  const text = shortened(why);
  if (encoding === "json")
    return encode(
      JSON.stringify({
        partialSuccess: { [REJECTED_FIELD[signal]]: String(rejected), errorMessage: text },
      }),
    );
  return message(1, [...varintField(1, rejected), ...textField(2, text)]);
}

/** `google.rpc.Status`, with RetryInfo when the sender should come back and BadRequest when its data is wrong. */
export function statusBody(answer: StatusAnswer, encoding: Encoding): Uint8Array {
  const code = STATUS[answer.kind].grpc;
  const text = shortened(answer.why);
  const bad = answer.kind === "invalid";
  if (encoding === "json") return encode(jsonStatus(code, text, answer.retryAfterMs, bad));
  const body = [...varintField(1, code), ...textField(2, text)];
  if (bad) body.push(...any(BAD_REQUEST, message(1, textField(2, text))));
  if (answer.retryAfterMs > 0) body.push(...any(RETRY_INFO, retryInfo(answer.retryAfterMs)));
  return Uint8Array.from(body);
}

function jsonStatus(code: number, text: string, retryAfterMs: number, bad: boolean): string {
  const details: object[] = [];
  if (bad) details.push({ "@type": BAD_REQUEST, fieldViolations: [{ description: text }] });
  if (retryAfterMs > 0)
    details.push({ "@type": RETRY_INFO, retryDelay: `${retryAfterMs / 1000}s` });
  return JSON.stringify(
    details.length > 0 ? { code, message: text, details } : { code, message: text },
  );
}

/** RetryInfo { retry_delay = 1: Duration { seconds = 1, nanos = 2 } }. */
function retryInfo(delayMs: number): Uint8Array {
  const seconds = Math.floor(delayMs / 1000);
  const nanos = Math.round((delayMs % 1000) * 1e6);
  return message(1, [...varintField(1, seconds), ...varintField(2, nanos)]);
}

/** details = 3: Any { type_url = 1, value = 2 }. */
function any(typeUrl: string, value: Uint8Array): Uint8Array {
  return message(3, [...textField(1, typeUrl), ...message(2, value)]);
}

const NOTHING = new Uint8Array(0);

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function shortened(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT).toWellFormed()}…`;
}

function textField(field: number, text: string): Uint8Array {
  return text === "" ? NOTHING : message(field, encode(text));
}

/** Fields with the value 0 are left out, as proto3 wants. */
function varintField(field: number, value: number): number[] {
  return value === 0 ? [] : [(field << 3) | VARINT, ...varint(value)];
}

function message(field: number, content: ArrayLike<number>): Uint8Array {
  const head = [(field << 3) | LENGTH_DELIMITED, ...varint(content.length)];
  const bytes = new Uint8Array(head.length + content.length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

/** Up to 2^53: division, because shifts end at 32 bits. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
