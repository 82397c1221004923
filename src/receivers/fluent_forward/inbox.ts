import { GrowingBody } from "../../kit/server/growing-body.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { Fault } from "./fault.ts";
import type { Frames } from "./frames.ts";

/** A read of a socket has at most so many bytes; larger chunks are added in parts. */
const READ_MAX = 1 << 20;

/** What has arrived of messages that are not settled yet, and the part of the byte budget that it holds. */
export class Inbox implements Disposable {
  readonly startedMs: number;
  readonly lease: Lease | undefined;
  readonly #limit: number;
  readonly #body: GrowingBody;
  readonly #frames: Frames;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #read = 0;

  /** `lease` covers what GrowingBody wants to begin with; without one, no more than that is ever taken. `limit`: of one message. */
  constructor(lease: Lease | undefined, limit: number, frames: Frames, startedMs: number) {
    this.lease = lease;
    this.startedMs = startedMs;
    this.#limit = limit;
    this.#frames = frames;
    this.#body = new GrowingBody(-1, limit + READ_MAX, lease);
  }

  /** All of it, with SLACK behind what is there. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Whether a whole message was found. */
  get isPassed(): boolean {
    return this.#read > 0;
  }

  /** Bytes behind the last whole message. */
  get unread(): number {
    return this.#body.length - this.#read;
  }

  /** At most 1 MiB at once. False when the budget has no room now. */
  add(chunk: Uint8Array): boolean {
    if (!this.#body.add(chunk)) return false;
    const { bytes, length } = this.#body.body();
    if (this.#view.buffer !== bytes.buffer) {
      const { buffer, byteOffset, byteLength } = bytes;
      this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
      this.#view = new DataView(buffer, byteOffset, byteLength);
    }
    this.#frames.see(this.#bytes, this.#view, length);
    return true;
  }

  /** Where the next whole message is; undefined when it has not arrived yet. */
  next(): { readonly from: number; readonly to: number } | undefined {
    const from = this.#frames.start(this.#read);
    this.#read = from;
    const to = this.#frames.end(from);
    if (to >= 0) {
      this.#read = to;
      return { from, to };
    }
    if (this.unread > this.#limit)
      throw new Fault(
        "too_large",
        `a message has more than ${this.#limit} bytes: let the sender make smaller chunks, or raise max_message_size`,
      );
    return undefined;
  }

  /** A copy of what is behind the last whole message: less than was added last. */
  rest(): Uint8Array {
    return this.#bytes.slice(this.#read, this.#body.length);
  }

  [Symbol.dispose](): void {
    this.#body.discard();
    this.lease?.[Symbol.dispose]();
  }
}
