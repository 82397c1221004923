import { GivenAttributes } from "../../series/records/given-attributes.ts";
import type { RecordDoor, RecordRequest } from "../../series/records/record-door.ts";
import { SLACK } from "../../wire/slack.ts";
import { recordObject, type TelemetryEvent, textAt } from "./events.ts";
import { type Invocation, textOf } from "./invocation.ts";
import { type Attributes, encodeResource } from "./output.ts";
import type { Sandbox } from "./sandbox.ts";

const OPEN_OBJECT = 0x7b;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Of a line, so much is looked at for the id and the level that Lambda's runtimes put in front. */
const HEAD_BYTES = 160;
/** `time ⇥ request id ⇥ level ⇥ text`, of Node.js. */
const NODE_HEAD = /^[0-9T:.Z-]{20,30}\t([0-9a-f-]{36})\t([A-Z]{4,5})\t/;
/** `[level] ⇥ time ⇥ request id ⇥ text`, of Python. */
const PYTHON_HEAD = /^\[([A-Z]{4,8})\]\t[0-9T:.Z-]{20,30}\t([0-9a-f-]{36})\t/;
/** Members of JSON lines that hold the request id: of Lambda's runtimes, Java's, Powertools. */
const ID_MEMBERS = ["requestId", "AWSRequestId", "function_request_id"];
/** Members that, beside an execution id on the record, would make a row of function_logs of it (config/series/function_logs.yaml). */
const ROW_MEMBERS = /"(?:[a-z]+\.)?(?:status|duration_ms|exit_code|memory_used_mb|cpu_time_ms)\\?"/;

/** What a line says of itself. */
interface Said {
  readonly requestId: string;
  readonly level: string;
}

const NOTHING_SAID: Said = { requestId: "", level: "" };

export interface LineOptions {
  readonly format: "record" | "promtail";
  readonly resource: Attributes;
  /** Whether invocations have spans, whose ids lines may carry. */
  readonly hasSpans: boolean;
}

/** Lines of functions and extensions → an OTLP logs request, each with the ids of its invocation. For one batch. */
export class Lines {
  readonly #options: LineOptions;
  readonly #sandbox: Sandbox;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #door: RecordDoor;
  readonly #given = new Map<string, GivenAttributes>();
  readonly #encoder = new TextEncoder();
  /** Of the text of one line, one after the other. */
  #room = new DataView(new ArrayBuffer(0));
  /** Of which invocation the resource tells; "": of none; undefined: it is not set yet. */
  #resourceOf: string | undefined;

  /** `door`: an empty one. */
  constructor(
    door: RecordDoor,
    options: LineOptions,
    sandbox: Sandbox,
    bytes: Uint8Array,
    nowMs: number,
  ) {
    this.#options = options;
    this.#sandbox = sandbox;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#door = door;
    door.arrive(nowMs);
    this.#setResource("");
  }

  add(event: TelemetryEvent): void {
    const { from, to, timeNs } = event;
    const isObject = this.#bytes[from] === OPEN_OBJECT;
    const said = isObject ? this.#saidInObject(event) : this.#saidInHead(from, to);
    const invocation = this.#invocationOf(said.requestId, timeNs);
    const requestId = invocation?.requestId ?? said.requestId;
    // The id on the record would make a row of such a line; on the resource it does not, and is found there all the same.
    const isRowLike = isObject && ROW_MEMBERS.test(this.#latin1(from, to));
    this.#setResource(isRowLike ? requestId : "");
    const door = this.#door;
    door.given = this.#givenOf(event.type, isRowLike ? "" : requestId, said.level, invocation);
    door.timeLow = Number(timeNs & 0xffff_ffffn) | 0;
    door.timeHigh = Number((timeNs >> 32n) & 0xffff_ffffn) | 0;
    if (this.#options.format === "promtail") this.#promtail(event);
    else if (!isObject || door.json(this.#bytes, this.#view, from, to) < 0) this.#text(from, to);
  }

  get items(): number {
    return this.#door.items;
  }

  finish(): RecordRequest {
    return this.#door.finish();
  }

  #saidInObject(event: TelemetryEvent): Said {
    const record = recordObject(this.#bytes, event);
    const member = ID_MEMBERS.find((name) => textOf(record, name) !== "");
    return member === undefined
      ? NOTHING_SAID
      : { ...NOTHING_SAID, requestId: textOf(record, member) };
  }

  #saidInHead(from: number, to: number): Said {
    const head = this.#latin1(from + 1, Math.min(to, from + HEAD_BYTES)).replaceAll("\\t", "\t");
    const node = NODE_HEAD.exec(head);
    if (node !== null) return { requestId: node[1] ?? "", level: node[2] ?? "" };
    const python = PYTHON_HEAD.exec(head);
    return python === null ? NOTHING_SAID : { requestId: python[2] ?? "", level: python[1] ?? "" };
  }

  /** By the id in the line, else by its time. */
  #invocationOf(requestId: string, timeNs: bigint): Invocation | undefined {
    if (requestId !== "") return this.#sandbox.named(requestId);
    return timeNs === 0n ? undefined : this.#sandbox.at(timeNs);
  }

  #givenOf(
    type: string,
    requestId: string,
    level: string,
    invocation: Invocation | undefined,
  ): GivenAttributes {
    const traceId = invocation?.tracing.traceId ?? "";
    const spanId = this.#options.hasSpans && traceId !== "" ? (invocation?.spanId ?? "") : "";
    const key = [type, requestId, level, spanId, traceId].join(" ");
    const known = this.#given.get(key);
    if (known !== undefined) return known;
    const pairs: (readonly [string, string])[] = [
      ["type", type],
      ["faas.invocation_id", requestId],
      ["level", level],
      ["trace_id", traceId],
      ["span_id", spanId],
    ];
    const made = new GivenAttributes(pairs.filter(([, value]) => value !== ""));
    this.#given.set(key, made);
    return made;
  }

  #setResource(requestId: string): void {
    if (requestId === this.#resourceOf) return;
    this.#resourceOf = requestId;
    const own = requestId === "" ? {} : { "faas.invocation_id": requestId };
    const { bytes, length } = encodeResource({ ...this.#options.resource, ...own });
    this.#door.setResource(bytes, length);
  }

  /** The value as the body: of a text what it says, of anything else its JSON. */
  #text(from: number, to: number): void {
    const bytes = this.#bytes;
    const isText = bytes[from] === QUOTE;
    const isPlain = !isText || !bytes.subarray(from, to).includes(BACKSLASH);
    if (!isPlain) this.#string(textAt(bytes, from, to) ?? "");
    else if (isText) this.#door.text(this.#view, from + 1, to - 1);
    else this.#door.text(this.#view, from, to);
  }

  /** As the extension of the blog writes it: its labels say the rest. */
  #promtail({ from, to, timeNs }: TelemetryEvent): void {
    const text = textAt(this.#bytes, from, to) ?? this.#utf8(from, to);
    const name = this.#sandbox.functionName;
    this.#string(
      `Info: source = lambda, function= ${name},  time = ${goTime(timeNs)}, record = ${text}\n`,
    );
  }

  #string(text: string): void {
    const most = 3 * text.length + SLACK;
    if (this.#room.byteLength < most) this.#room = new DataView(new ArrayBuffer(2 * most));
    const { written } = this.#encoder.encodeInto(text, new Uint8Array(this.#room.buffer));
    this.#door.text(this.#room, 0, written);
  }

  #latin1(from: number, to: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + from, Math.max(0, to - from)).toString("latin1");
  }

  #utf8(from: number, to: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + from, to - from).toString();
  }
}

/** A time as Go prints it: `2023-02-12 14:02:18.123456789 +0000 UTC`, without zeros at the end of the fraction. */
export function goTime(time: bigint): string {
  const timeNs = time < 0n ? 0n : time;
  const seconds = new Date(Number(timeNs / 1_000_000_000n) * 1_000).toISOString();
  const fraction = String(timeNs % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const clock = seconds.slice(0, 19).replace("T", " ");
  return `${clock}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}
