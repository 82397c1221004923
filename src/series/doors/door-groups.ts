import { varintSize } from "../../otlp/build.ts";
import { AnyValue, KeyValue, Resource, ResourceLogs } from "../../otlp/tags.gen.ts";
import { Constants } from "../../wire/copy.ts";
import { SLACK } from "../../wire/slack.ts";
import type { DoorOutput } from "./door-output.ts";

/** Longest message of the request: lengths have at most 28 bits. */
const GROUP_BOUND = (1 << 28) - 1;
/** ExportLogsServiceRequest.resource_logs */
const RESOURCE_LOGS = 0x0a;
const CONSTANTS = new Constants(64);
const SERVICE_NAME = CONSTANTS.add("service.name");
/** Bytes of a group beside the service's name. */
export const GROUP_BYTES = 64;
const NOTHING = new DataView(new ArrayBuffer(SLACK));

/** The ResourceLogs of a request: consecutive records of one service share one. */
export class DoorGroups {
  readonly #out: DoorOutput;
  /** Content of the open ResourceLogs and ScopeLogs; 0 when none is open. */
  #group = 0;
  #scope = 0;
  #serviceAt = 0;
  #serviceLength = 0;
  /** Attributes of every resource behind its service's name: encoded fields of a Resource, then SLACK. */
  #more: DataView = NOTHING;
  #moreLength = 0;

  // State at the latest `remember`.
  #groupBefore = 0;
  #scopeBefore = 0;
  #serviceAtBefore = 0;
  #serviceLengthBefore = 0;

  constructor(out: DoorOutput) {
    this.#out = out;
  }

  get isOpen(): boolean {
    return this.#group > 0;
  }

  /** Keeps the state for `undo`. */
  remember(): void {
    this.#groupBefore = this.#group;
    this.#scopeBefore = this.#scope;
    this.#serviceAtBefore = this.#serviceAt;
    this.#serviceLengthBefore = this.#serviceLength;
  }

  undo(): void {
    this.#group = this.#groupBefore;
    this.#scope = this.#scopeBefore;
    this.#serviceAt = this.#serviceAtBefore;
    this.#serviceLength = this.#serviceLengthBefore;
  }

  /** Gives the resources of the next records these attributes, encoded, with SLACK behind `length`; their bytes are added to what a group takes. */
  setResource(attributes: DataView, length: number): void {
    this.close();
    this.#more = attributes;
    this.#moreLength = length;
  }

  /** Goes on with the open group when it is of the service with this name (length 0: none), else opens one. Room for it must be there. */
  open(source: DataView, from: number, length: number): void {
    if (this.#group > 0 && this.#isCurrent(source, from, length)) return;
    this.close();
    const out = this.#out;
    out.byte(RESOURCE_LOGS);
    this.#group = out.open(GROUP_BOUND);
    this.#serviceLength = length;
    const value = 1 + varintSize(length) + length;
    const pair = 2 + SERVICE_NAME.length + 1 + varintSize(value) + value;
    const size = (length > 0 ? 1 + varintSize(pair) + pair : 0) + this.#moreLength;
    if (size > 0) {
      out.byte(ResourceLogs.resource);
      out.varint(size);
    }
    if (length > 0) {
      out.byte(Resource.attributes);
      out.varint(pair);
      out.byte(KeyValue.key);
      out.varint(SERVICE_NAME.length);
      out.copy(CONSTANTS.view, SERVICE_NAME.at, SERVICE_NAME.length);
      out.byte(KeyValue.value);
      out.varint(value);
      out.byte(AnyValue.string_value);
      out.varint(length);
      this.#serviceAt = out.length;
      out.copy(source, from, length);
    }
    out.copy(this.#more, 0, this.#moreLength);
    out.byte(ResourceLogs.scope_logs);
    this.#scope = out.open(GROUP_BOUND);
  }

  close(): void {
    if (this.#group === 0) return;
    this.#out.close(this.#scope, GROUP_BOUND);
    this.#out.close(this.#group, GROUP_BOUND);
    this.#group = 0;
  }

  #isCurrent(source: DataView, from: number, length: number): boolean {
    if (length !== this.#serviceLength) return false;
    const { view } = this.#out;
    for (let i = 0; i < length; i++)
      if (view.getUint8(this.#serviceAt + i) !== source.getUint8(from + i)) return false;
    return true;
  }
}
