import type { Socket } from "node:net";
import { sleep } from "../../lib/sleep.ts";
import { isRefusal, type Refusal } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { unpacked } from "./compressed.ts";
import type { Config } from "./config.ts";
import type { MessageDoor } from "./door.ts";
import { Tags } from "./entries.ts";
import { Fault } from "./fault.ts";
import type { Message } from "./message.ts";

/** Least pause before what was refused is tried again. */
const PAUSE_MS = 50;
/** Who holds a part of a message waits for so long for memory; then others get what it holds. */
const ROOM_MS = 10_000;
export const NO_ROOM: Refusal = {
  kind: "refused",
  retryAfterMs: 1_000,
  why: "the memory for requests in flight is used up",
};

/** What becomes of the messages of one connection: they are durable before they are acknowledged, and wait while there is no room. */
export class Settlement {
  readonly #socket: Socket;
  readonly #config: Config;
  readonly #door: MessageDoor;
  readonly #stop: AbortSignal;
  readonly #tags = new Tags();

  /** `stop` aborts when nothing that was refused may be tried again. */
  constructor(socket: Socket, config: Config, door: MessageDoor, stop: AbortSignal) {
    this.#socket = socket;
    this.#config = config;
    this.#door = door;
    this.#stop = stop;
  }

  /** Waits while there is no room, and so does the sender. Undefined: it is over. */
  async admitted(bytes: number): Promise<Lease | undefined> {
    for (let isFirst = true; ; isFirst = false) {
      const lease = this.#door.admit(bytes);
      if (!isRefusal(lease)) return lease;
      if (isFirst) this.#door.refused(lease);
      if (!(await this.#pause(lease))) return undefined;
    }
  }

  /** Calls `tries` until it succeeds. False: it was in vain for too long. */
  async untilRoom(tries: () => boolean | Promise<boolean>): Promise<boolean> {
    const { nowMs } = this.#door.context;
    const end = nowMs() + ROOM_MS;
    while (!(await tries())) if (nowMs() >= end || !(await this.#pause(NO_ROOM))) return false;
    return true;
  }

  /** Compressed messages are settled one by one, so that only one of them is in memory as it was. */
  async settle(messages: readonly Message[]): Promise<void> {
    let from = 0;
    for (const [i, message] of messages.entries()) {
      if (message.content.kind !== "compressed") continue;
      await this.#settle(messages.slice(from, i));
      await this.#settleCompressed(message);
      from = i + 1;
    }
    await this.#settle(from === 0 ? messages : messages.slice(from));
  }

  async #settleCompressed(message: Message): Promise<void> {
    const isSettled = await this.untilRoom(async () => {
      using lease = await this.admitted(0);
      if (lease === undefined) return this.#giveUp([message], NO_ROOM);
      const plain = await unpacked(message, this.#config.max_message_size, lease);
      if (isRefusal(plain)) return false;
      await this.#settle([plain]);
      return true;
    });
    if (!isSettled) this.#giveUp([message], NO_ROOM);
  }

  async #settle(messages: readonly Message[]): Promise<void> {
    if (messages.length === 0) return;
    for (;;) {
      const refusal = await this.#door.take(messages, this.#tags);
      if (refusal === undefined) return this.#acknowledge(messages);
      if (refusal.kind !== "invalid" && refusal.kind !== "too_large") {
        // Senders that wait for an acknowledgement and are gone will send it again.
        const isFutile = this.#socket.destroyed && messages.every(({ ack }) => ack !== undefined);
        if (isFutile || !(await this.#pause(refusal))) this.#giveUp(messages, refusal);
      } else if (messages.length > 1) {
        for (const message of messages) await this.#settle([message]);
        return;
      } else {
        this.#door.lost(1, refusal.why);
        return this.#acknowledge(messages);
      }
    }
  }

  /** They are not acknowledged; those that nobody will send again are lost. */
  #giveUp(messages: readonly Message[], { why }: Refusal): never {
    const lost = messages.filter(
      ({ ack, content }) => ack === undefined && content.kind !== "none",
    );
    if (lost.length > 0) this.#door.lost(lost.length, why);
    throw new Fault("unavailable", why);
  }

  async #acknowledge(messages: readonly Message[]): Promise<void> {
    const acks = messages.flatMap(({ ack }) => (ack === undefined ? [] : [ack]));
    if (acks.length > 0) await this.write(Buffer.concat(acks));
  }

  /** Resolves when the sender has room for more answers, or is gone. Who reads none for too long is cut. */
  async write(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed || socket.write(bytes)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { read_timeout } = this.#config;
    const cut = read_timeout === 0 ? undefined : setTimeout(() => socket.destroy(), read_timeout);
    socket.once("drain", resolve);
    socket.once("close", resolve);
    await promise;
    clearTimeout(cut);
    socket.off("drain", resolve);
    socket.off("close", resolve);
  }

  /** True when it is worth another try. */
  async #pause({ retryAfterMs }: Refusal): Promise<boolean> {
    await sleep(Math.max(PAUSE_MS, retryAfterMs), this.#stop);
    return !this.#stop.aborted;
  }
}
