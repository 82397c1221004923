import type { Socket } from "node:net";
import { UNKNOWN_LEASE_BYTES } from "../../kit/server/growing-body.ts";
import { isRefusal } from "../../otlp/status.ts";
import type { Config } from "./config.ts";
import type { MessageDoor } from "./door.ts";
import { Fault } from "./fault.ts";
import { framesOf, isJsonStream } from "./frames.ts";
import type { Handshake, Security } from "./handshake.ts";
import { Inbox } from "./inbox.ts";
import { readJsonMessage } from "./json-message.ts";
import type { Message } from "./message.ts";
import { Partials } from "./partials.ts";
import { NO_ROOM, Settlement } from "./settlement.ts";

/** Longest PING, and how long a sender may take for it. */
const HANDSHAKE_BYTES = 8_192;
const HANDSHAKE_MS = 10_000;
/** JSON messages are taken apart in one go, so they must be short. */
export const JSON_MAX: number = 1 << 20;
/** How often a connection that waits for something looks at the clock. */
const LOOK_MS = 500;
/** How long a sender may take to close its side. */
const LINGER_MS = 2_000;

/**
 * One connection. What was read is settled before more is read, so a slow service slows its senders; acknowledgements follow when the data
 * is durable.
 */
export class ForwardConnection {
  /** Resolves when everything that this connection sent is settled or counted. */
  readonly done: Promise<void>;
  readonly #socket: Socket;
  readonly #config: Config;
  readonly #door: MessageDoor;
  readonly #nowMs: () => number;
  readonly #stop = new AbortController();
  readonly #settlement: Settlement;
  readonly #partials: Partials;
  /** Until the sender has shown who it is. */
  #handshake: Handshake | undefined;
  /** Told by the first byte. */
  #isJson: boolean | undefined;
  #inbox: Inbox | undefined;
  #isBusy = false;
  /** Work on late lines; the next read waits for it. */
  #work: Promise<void> | undefined;
  #activeMs: number;
  #fault: Fault | undefined;

  constructor(socket: Socket, config: Config, security: Security, door: MessageDoor) {
    this.#socket = socket;
    this.#config = config;
    this.#door = door;
    this.#nowMs = door.context.nowMs;
    this.#activeMs = this.#nowMs();
    this.#handshake = security.isWanted ? security.begin() : undefined;
    this.#settlement = new Settlement(socket, config, door, this.#stop.signal);
    this.#partials = new Partials((bytes) => {
      const lease = door.admit(bytes);
      return isRefusal(lease) ? undefined : lease;
    });
    socket.on("timeout", () => this.#look());
    this.done = this.#run();
  }

  /** Settles what has arrived whole, and ends. What is refused then is not tried again. */
  close(): void {
    this.#stop.abort();
    if (!this.#isBusy) this.#socket.destroy();
  }

  async #run(): Promise<void> {
    try {
      if (this.#handshake !== undefined) await this.#settlement.write(this.#handshake.hello);
      this.#watch();
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        this.#isBusy = true;
        await this.#work;
        await this.#arrived(chunk);
        this.#isBusy = false;
        this.#activeMs = this.#nowMs();
        this.#watch();
        if (this.#stop.signal.aborted) break;
      }
      if ((this.#inbox?.unread ?? 0) > 0 && !this.#stop.signal.aborted)
        throw new Fault("gone", "the sender left in the midst of a message");
    } catch (reason) {
      this.#failed(reason);
    }
    await this.#finish();
  }

  async #finish(): Promise<void> {
    this.#isBusy = true;
    this.#drop();
    try {
      await this.#work;
      await this.#settlement.settle(this.#partials.late());
    } catch (reason) {
      this.#failed(reason);
    }
    this.#partials.release();
    if (this.#fault !== undefined) this.#door.ended(this.#fault.outcome, this.#fault.message);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  /** A socket that was reset or destroyed rejects, too: nothing to report. */
  #failed(reason: unknown): void {
    const isOfSocket = reason instanceof Error && "code" in reason && this.#socket.destroyed;
    if (reason instanceof Fault) this.#fault ??= reason;
    else if (!isOfSocket) this.#door.failed(reason);
  }

  async #arrived(chunk: Uint8Array): Promise<void> {
    this.#isJson ??= isJsonStream(chunk[0] ?? 0);
    this.#inbox ??= await this.#openInbox();
    await this.#add(this.#inbox, chunk);
    if (this.#handshake !== undefined) await this.#shakeHands(this.#inbox, this.#handshake);
    if (this.#inbox !== undefined && this.#handshake === undefined)
      await this.#takeWhole(this.#inbox);
    this.#checkPace();
  }

  /** Senders that are not known yet take nothing from the byte budget. */
  async #openInbox(): Promise<Inbox> {
    const { max_message_size } = this.#config;
    const frames = framesOf(this.#isJson === true);
    if (this.#handshake !== undefined)
      return new Inbox(undefined, HANDSHAKE_BYTES, frames, this.#nowMs());
    const lease = await this.#settlement.admitted(UNKNOWN_LEASE_BYTES);
    const limit = this.#isJson ? Math.min(JSON_MAX, max_message_size) : max_message_size;
    if (lease === undefined)
      throw new Fault("unavailable", "weir stops: what the sender sent last is not taken");
    return new Inbox(lease, limit, frames, this.#nowMs());
  }

  async #add(inbox: Inbox, chunk: Uint8Array): Promise<void> {
    const isAdded = await this.#settlement.untilRoom(() => {
      if (inbox.add(chunk)) return true;
      if (inbox.lease?.isBeyondBudget === false) return false;
      throw new Fault("too_large", "a message has more bytes than all requests in flight may have");
    });
    if (!isAdded) throw new Fault("refused", NO_ROOM.why);
  }

  async #shakeHands(inbox: Inbox, handshake: Handshake): Promise<void> {
    const place = inbox.next();
    if (place === undefined) return;
    const { from, to } = place;
    const { bytes, isWelcome, why } = handshake.answer(inbox.bytes, inbox.view, from, to);
    await this.#settlement.write(bytes);
    if (!isWelcome) throw new Fault("unauthorized", `the handshake failed: ${why}`);
    this.#handshake = undefined;
    await this.#renew(inbox);
  }

  /** Settles the messages that are whole. */
  async #takeWhole(inbox: Inbox): Promise<void> {
    const messages: Message[] = [];
    let fault: unknown;
    try {
      for (let place = inbox.next(); place !== undefined; place = inbox.next())
        messages.push(...this.#read(inbox, place.from, place.to));
    } catch (reason) {
      fault = reason;
    }
    // What is whole is good, whatever comes behind it.
    await this.#settlement.settle(messages);
    this.#partials.release();
    if (fault !== undefined) throw fault;
    if (inbox.isPassed) await this.#renew(inbox);
  }

  /** The message there, if there is something to store or to answer; or lines that are joined now. */
  #read(inbox: Inbox, from: number, to: number): readonly Message[] {
    const message = this.#isJson
      ? readJsonMessage(inbox.bytes, from, to)
      : this.#door.reader.read(inbox.bytes, inbox.view, from, to);
    const { content, ack, problem, tag, isForeign } = message;
    if (isForeign) this.#door.foreign(tag);
    if (content.kind === "none" && ack === undefined && problem === undefined) return [];
    return this.#partials.take(message, inbox.view, this.#nowMs());
  }

  /** Begins anew with what is behind the last whole message. */
  async #renew(inbox: Inbox): Promise<void> {
    const rest = inbox.rest();
    this.#drop();
    if (rest.length === 0) return;
    this.#inbox = await this.#openInbox();
    await this.#add(this.#inbox, rest);
  }

  #drop(): void {
    this.#inbox?.[Symbol.dispose]();
    this.#inbox = undefined;
  }

  /** Only connections that wait for something look at the clock. */
  #watch(): void {
    const { idle_timeout } = this.#config;
    const isWaiting =
      this.#inbox !== undefined || this.#handshake !== undefined || this.#partials.waiting > 0;
    const look = idle_timeout === 0 ? LOOK_MS : Math.min(LOOK_MS, idle_timeout);
    this.#socket.setTimeout(isWaiting ? look : idle_timeout);
  }

  /** Nothing was read for a while. */
  #look(): void {
    this.#watch();
    if (this.#isBusy || this.#work !== undefined) return;
    const { idle_timeout } = this.#config;
    try {
      this.#checkPace();
    } catch (reason) {
      this.#failed(reason);
      this.#socket.destroy();
      return;
    }
    if (this.#partials.waiting > 0) this.#passOn(this.#partials.late(this.#nowMs()));
    else if (idle_timeout > 0 && this.#nowMs() - this.#activeMs >= idle_timeout)
      this.#socket.destroy();
  }

  /** Lines whose parts did not all come. */
  #passOn(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    this.#work = this.#settlement
      .settle(messages)
      .catch((reason: unknown) => {
        this.#failed(reason);
        this.#socket.destroy();
      })
      .finally(() => {
        this.#partials.release();
        this.#work = undefined;
      });
  }

  /** Whoever is slow holds what others could use. */
  #checkPace(): void {
    const { read_timeout } = this.#config;
    const waited = this.#nowMs() - (this.#inbox?.startedMs ?? this.#activeMs);
    if (this.#handshake !== undefined && waited >= HANDSHAKE_MS)
      throw new Fault("unauthorized", "the sender did not answer HELO in time");
    if (this.#inbox !== undefined && read_timeout > 0 && waited >= read_timeout)
      throw new Fault("invalid", "a message took longer than read_timeout to arrive");
  }
}
