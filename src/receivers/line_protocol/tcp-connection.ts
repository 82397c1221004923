import type { Socket } from "node:net";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import { JsonPoints } from "../../kit/doors/json-points.ts";
import type { LineReader } from "../../line/reader.ts";
import { isRefusal, PipelineError } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import type { DoorResult, LineDoor } from "../../series/doors/door.ts";
import type { TcpConfig } from "./config.ts";
import type { DoorPool } from "./door-pool.ts";
import { Framing } from "./framing.ts";
import type { HandOver } from "./hand-over.ts";

const TOO_LONG = "a line is longer than tcp.max_line_size";
/** Bytes of JSON that are read in one go. */
const JSON_STEP = 256 << 10;
/** Least pause before a refused request is tried again. */
const PAUSE_MS = 50;
/** After this long without a read, what a forgotten quote holds back is handed over. */
const QUIET_MS = 1_000;

/** One connection. Every read is one request; the socket is paused until it is durable, so a slow service slows its senders. */
export class TcpConnection {
  /** Resolves when everything that this connection sent is handed over or counted. */
  readonly done: Promise<void>;
  readonly #socket: Socket;
  readonly #config: TcpConfig;
  readonly #handOver: HandOver;
  readonly #doors: DoorPool;
  readonly #nowMs: () => number;
  readonly #framing: Framing;
  #json: JsonPoints | undefined;
  readonly #stop = new AbortController();
  /** Work on what was read last; the next read waits for it. */
  #work: Promise<void> | undefined;
  #tooLong = 0;
  #activeMs: number;

  constructor(
    socket: Socket,
    config: TcpConfig,
    handOver: HandOver,
    doors: DoorPool,
    reader: LineReader,
    nowMs: () => number,
  ) {
    this.#socket = socket;
    this.#config = config;
    this.#handOver = handOver;
    this.#doors = doors;
    this.#nowMs = nowMs;
    this.#framing = new Framing(config.max_line_size, reader);
    // A reset only ends the reading: what came before it is kept.
    socket.on("error", () => {});
    this.#activeMs = nowMs();
    // A callback of setTimeout would be called once only.
    socket.on("timeout", () => this.#onQuiet());
    socket.setTimeout(this.#quietMs());
    this.done = this.#run();
  }

  /** Reads no more and hands over what is buffered; refused requests are not tried again. */
  close(): void {
    this.#stop.abort();
    this.#socket.destroy();
  }

  async #run(): Promise<void> {
    try {
      for await (const chunk of this.#socket) {
        await this.#work;
        this.#activeMs = this.#nowMs();
        this.#framing.push(chunk);
        await this.#handOverLines(this.#framing.whole());
        if (this.#stop.signal.aborted) break;
      }
    } catch {
      // Reset or destroyed: an abort of the iteration, nothing to report.
    }
    this.#socket.destroy();
    await this.#work;
    await this.#handOverLines(this.#framing.length);
  }

  #quietMs(): number {
    const { idle_timeout } = this.#config;
    return idle_timeout === 0 ? QUIET_MS : Math.min(QUIET_MS, idle_timeout);
  }

  /**
   * Nothing was read for a while: lines held back by a forgotten quote go on, or memory is given back; a connection that idles too long is
   * closed.
   */
  #onQuiet(): void {
    const { idle_timeout } = this.#config;
    this.#socket.setTimeout(this.#quietMs());
    if (this.#work !== undefined) return;
    const stuck = this.#framing.stuck();
    if (stuck > 0) return void this.#handOverLines(stuck).catch(() => this.#socket.destroy());
    this.#framing.release();
    this.#json = undefined;
    if (idle_timeout > 0 && this.#nowMs() - this.#activeMs >= idle_timeout) this.#socket.destroy();
  }

  /** One at a time. */
  #handOverLines(length: number): Promise<void> {
    this.#work = this.#handOverNow(length).finally(() => {
      this.#work = undefined;
      this.#activeMs = this.#nowMs();
    });
    return this.#work;
  }

  async #handOverNow(length: number): Promise<void> {
    const framing = this.#framing;
    if (framing.tooLong > this.#tooLong) {
      this.#handOver.bad(framing.tooLong - this.#tooLong, TOO_LONG);
      this.#tooLong = framing.tooLong;
    }
    if (length === 0) return;
    const door = this.#doors.take();
    for (const { from, to, isJson } of framing.runs(length))
      if (isJson) await this.#readJson(door, from, to);
      else door.append(framing.bytes, framing.view, from, to, this.#nowMs());
    const result = door.finish();
    this.#doors.give(door);
    await this.#submit(result, length);
    framing.take(length);
  }

  /** In steps: JSON takes long enough to keep others waiting. */
  async #readJson(door: LineDoor, from: number, to: number): Promise<void> {
    this.#json ??= new JsonPoints();
    const json = this.#json;
    json.begin(this.#framing.bytes, this.#framing.view, from, to);
    for (let isMore = true; isMore; ) {
      isMore = json.readSome(JSON_STEP);
      this.#handOver.json(json);
      door.append(json.bytes, json.view, 0, json.length, this.#nowMs(), "ns");
      if (isMore) await turn();
    }
  }

  /** Until it is taken, or this connection is closed by a stop. */
  async #submit(result: DoorResult, bytes: number): Promise<void> {
    let rest = result;
    for (;;) {
      const lease = this.#handOver.admit(bytes);
      if (isRefusal(lease)) {
        if (await this.#pause(lease.retryAfterMs)) continue;
        return this.#handOver.lost(rest.items + rest.badLines, lease.why);
      }
      const error = await this.#try(rest, lease);
      rest = { ...rest, badLines: 0 };
      if (error === undefined) return;
      const isTemporary = error.kind === "refused" || error.kind === "unavailable";
      if (isTemporary && (await this.#pause(error.retryAfterMs))) continue;
      return this.#handOver.sayLost(rest.items, error.why);
    }
  }

  async #try(result: DoorResult, lease: Lease): Promise<PipelineError | undefined> {
    try {
      await this.#handOver.submit(result, lease);
      return undefined;
    } catch (reason) {
      return PipelineError.from(reason);
    } finally {
      lease[Symbol.dispose]();
    }
  }

  /** True when it is worth another try. */
  async #pause(ms: number): Promise<boolean> {
    if (this.#stop.signal.aborted) return false;
    try {
      await pause(Math.max(PAUSE_MS, ms), undefined, { signal: this.#stop.signal });
      return true;
    } catch {
      return false;
    }
  }
}
