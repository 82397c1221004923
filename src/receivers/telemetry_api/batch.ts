import type { Body } from "../../kit/server/compression.ts";
import type { Signal } from "../../otlp/tape.ts";
import { ArrivalTime } from "../../series/records/arrival-time.ts";
import { RecordDoor } from "../../series/records/record-door.ts";
import { TimeKind, TimeText } from "../../wire/time-text.ts";
import type { Config, Stream } from "./config.ts";
import { EventReader, type Events, recordObject, type TelemetryEvent } from "./events.ts";
import { type Invocation, readEnding, textOf } from "./invocation.ts";
import { rowOf, spansOf } from "./invocation-items.ts";
import { Lines } from "./lines.ts";
import {
  type Attributes,
  encodeRecords,
  encodeResource,
  encodeSpans,
  joined,
  type MadeRecord,
} from "./output.ts";
import { isTrouble, platformText } from "./platform-text.ts";
import type { Sandbox } from "./sandbox.ts";

const SEVERITY_INFO = 9;
const SEVERITY_WARN = 13;

/** What a batch becomes: OTLP requests, with SLACK behind their length. */
export interface Made extends MadeLogs {
  readonly traces: Body | undefined;
  /** Events by stream, and runtimes that are done, by request id. */
  readonly events: ReadonlyMap<Stream, number>;
  readonly done: readonly string[];
  readonly bad: number;
  readonly firstBad: string;
}

interface MadeLogs {
  readonly logs: Body | undefined;
  /** Lines that carry the time of their arrival, or text that was replaced. */
  readonly replacedTimes: number;
  readonly replacedTexts: number;
}

const NO_LOGS: MadeLogs = { logs: undefined, replacedTimes: 0, replacedTexts: 0 };
const NO_EVENTS: Events = { events: [], bad: 0, firstBad: "" };
const NO_BODY: Body = { bytes: new Uint8Array(0), length: 0 };

/** Batches of Lambda → OTLP requests. */
export class BatchMaker {
  readonly #config: Config;
  readonly #signals: ReadonlySet<Signal>;
  readonly #streams: ReadonlySet<string>;
  readonly #reader = new EventReader();
  readonly #times = new TimeText();
  /** Of lines whose own time cannot be read: one each, in their order. */
  readonly #arrival = new ArrivalTime(true);
  #door: RecordDoor | undefined;
  #doorService = "";

  constructor(config: Config, signals: ReadonlySet<Signal>) {
    this.#config = config;
    this.#signals = signals;
    this.#streams = new Set(config.types);
  }

  /** Reads a batch and says what it is to be; `sandbox` is a fork, which is changed. */
  make(body: Body, sandbox: Sandbox, nowMs: number): Made {
    return this.#make(body, this.#reader.read(body), sandbox, nowMs, false);
  }

  /** What time has made of invocations without a batch; `isOver`: all of them. */
  sweep(sandbox: Sandbox, nowMs: number, isOver: boolean): Made {
    return this.#make(NO_BODY, NO_EVENTS, sandbox, nowMs, isOver);
  }

  #make({ bytes }: Body, read: Events, sandbox: Sandbox, nowMs: number, isOver: boolean): Made {
    const { events } = read;
    let { bad, firstBad } = read;
    const counts = new Map<Stream, number>();
    const texts: MadeRecord[] = [];
    const done: string[] = [];
    // First the platform: where lines belong is known only then.
    for (const event of events) {
      const stream = streamOf(event.type);
      counts.set(stream, (counts.get(stream) ?? 0) + 1);
      if (stream !== "platform") continue;
      const record = recordObject(bytes, event);
      if (record === undefined) {
        if (bad++ === 0) firstBad = `${event.type} has a record that is no object`;
        continue;
      }
      sandbox.apply(event.type, record, event.timeNs, nowMs, (text) => this.#timeOf(text));
      if (event.type === "platform.runtimeDone") done.push(textOf(record, "requestId"));
      if (this.#isWritten(event.type, record)) texts.push(this.#textRecord(event, record, nowMs));
    }
    const ended = sandbox.takeEnded(nowMs, this.#config.invocation_timeout, isOver);
    const own = {
      ...this.#logs(bytes, events, ended, texts, sandbox, nowMs),
      traces: this.#traces(ended, sandbox, nowMs),
    };
    return { ...own, events: counts, done, bad, firstBad };
  }

  #logs(
    bytes: Uint8Array,
    events: readonly TelemetryEvent[],
    ended: readonly Invocation[],
    texts: readonly MadeRecord[],
    sandbox: Sandbox,
    nowMs: number,
  ): MadeLogs {
    if (!this.#signals.has("logs")) return NO_LOGS;
    const { line_format: format } = this.#config;
    const hasSpans = this.#hasSpans;
    const resource = this.#resource(sandbox);
    const door = this.#takeDoor(this.#serviceName(sandbox));
    const lines = new Lines(door, { format, resource, hasSpans }, sandbox, bytes, nowMs);
    for (const event of events)
      if (streamOf(event.type) !== "platform" && this.#streams.has(event.type)) lines.add(event);
    const rows = this.#streams.has("platform")
      ? ended.map((one) =>
          rowOf(one, sandbox.functionVersion, hasSpans ? one.spanId : "", nanos(nowMs)),
        )
      : [];
    const records = [...texts, ...rows];
    const isEmpty = lines.items + records.length === 0;
    const request = lines.finish();
    this.#door = door;
    if (isEmpty) return NO_LOGS;
    const { replacedTimes, replacedTexts } = request;
    const logs = joined(request, this.#encoded(records, sandbox));
    return { logs, replacedTimes, replacedTexts };
  }

  /** The door of the batches before, whose memory is much more than a batch needs; not given back after a failure, so that it is always empty. */
  #takeDoor(serviceName: string): RecordDoor {
    const door = this.#door;
    const isSame = door !== undefined && serviceName === this.#doorService;
    this.#door = undefined;
    this.#doorService = serviceName;
    return isSame ? door : new RecordDoor({ arrival: this.#arrival, serviceName });
  }

  #traces(ended: readonly Invocation[], sandbox: Sandbox, nowMs: number): Body | undefined {
    if (!this.#hasSpans || ended.length === 0) return undefined;
    const { functionName, functionVersion } = sandbox;
    const spans = ended.flatMap((one) => spansOf(one, functionName, functionVersion, nanos(nowMs)));
    return encodeSpans(spans, this.#encodedResource(sandbox));
  }

  #encoded(records: readonly MadeRecord[], sandbox: Sandbox): Uint8Array {
    if (records.length === 0) return new Uint8Array(0);
    return encodeRecords(records, this.#encodedResource(sandbox));
  }

  #encodedResource(sandbox: Sandbox): Uint8Array {
    const service = { "service.name": this.#serviceName(sandbox) };
    const { bytes, length } = encodeResource({ ...service, ...this.#resource(sandbox) });
    return bytes.subarray(0, length);
  }

  get #hasSpans(): boolean {
    return this.#streams.has("platform") && this.#signals.has("traces");
  }

  #serviceName({ functionName }: Sandbox): string {
    return this.#config.service_name || functionName;
  }

  /** What every item's resource says, beside the service's name. */
  #resource({ functionName }: Sandbox): Attributes {
    return {
      "faas.name": functionName,
      "cloud.provider": "aws",
      "cloud.platform": "aws_lambda",
      ...this.#config.resource_attributes,
    };
  }

  #isWritten(type: string, record: Readonly<Record<string, unknown>>): boolean {
    return isTrouble(type, record) || (this.#config.platform_logs && this.#streams.has("platform"));
  }

  #textRecord(
    { type, timeNs }: TelemetryEvent,
    record: Readonly<Record<string, unknown>>,
    nowMs: number,
  ): MadeRecord {
    return {
      eventName: "",
      timeNs: timeNs || nanos(nowMs),
      observedNs: nanos(nowMs),
      severity: isTrouble(type, record) ? SEVERITY_WARN : SEVERITY_INFO,
      body: platformText(type, record, () =>
        readEnding(record, timeNs, (text) => this.#timeOf(text)),
      ),
      traceId: "",
      spanId: "",
      attributes: {
        type,
        "faas.invocation_id": textOf(record, "requestId"),
        "error.type": textOf(record, "errorType"),
      },
    };
  }

  #timeOf(text: string): bigint {
    const bytes = Buffer.from(text, "latin1");
    const times = this.#times;
    if (times.read(bytes, 0, bytes.length) !== TimeKind.time) return 0n;
    return (BigInt(times.high) << 32n) | BigInt(times.low >>> 0);
  }
}

/** Types that are not known are the platform's, as their names begin or will: a line is never among them. */
function streamOf(type: string): Stream {
  return type === "function" || type === "extension" ? type : "platform";
}

function nanos(ms: number): bigint {
  return BigInt(Math.round(ms)) * 1_000_000n;
}
