import { createSocket, type Socket } from "node:dgram";
import { setImmediate as turn } from "node:timers/promises";
import { JsonPoints } from "../../kit/doors/json-points.ts";
import { looksLikeJson } from "../../kit/doors/json-values.ts";
import { parseEndpoint } from "../../kit/server/listen-endpoint.ts";
import { describeListenError } from "../../kit/server/listen-error.ts";
import { LineReader } from "../../line/reader.ts";
import type { Precision } from "../../line/time.ts";
import { isRefusal, PipelineError } from "../../otlp/status.ts";
import type { Component, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { DoorResult, LineDoor } from "../../series/doors/door.ts";
import { SLACK } from "../../wire/slack.ts";
import type { UdpConfig } from "./config.ts";
import type { HandOver } from "./hand-over.ts";
import { KernelDrops } from "./kernel-drops.ts";

/** Datagrams are gathered up to this many bytes, */
const GATHER_BYTES = 1 << 20;
/** and for this long: nobody waits for an answer, and a request costs as much as many lines. */
const GATHER_MS = 5;
const DATAGRAM_MAX = 65_536;
const STARTS = 1 << 16;
/** How long a stop goes on reading what the kernel has already received. */
const DRAIN_MS = 100;

/** Lines in datagrams. Nobody waits for an answer, so what cannot be taken is counted. */
export class UdpListener implements Component {
  readonly #config: UdpConfig;
  readonly #context: Context;
  readonly #handOver: HandOver;
  readonly #door: LineDoor;
  readonly #spreadDoor: LineDoor;
  readonly #reader = new LineReader();
  readonly #json = new JsonPoints();
  readonly #slab = new Uint8Array(GATHER_BYTES + DATAGRAM_MAX + SLACK);
  readonly #view = new DataView(this.#slab.buffer);
  /** Where each gathered datagram ends. */
  readonly #ends = new Int32Array(STARTS);
  readonly #inFlight = new Set<Promise<void>>();
  #datagrams = 0;
  #length = 0;
  #received = 0;
  #isScheduled = false;
  #socket: Socket | undefined;
  #drops: KernelDrops | undefined;

  constructor(config: UdpConfig, context: Context, handOver: HandOver, makeDoor: () => LineDoor) {
    this.#config = config;
    this.#context = context;
    this.#handOver = handOver;
    this.#door = makeDoor();
    this.#spreadDoor = makeDoor();
  }

  async start(): Promise<void> {
    const { host } = parseEndpoint(this.#config.endpoint);
    const socket = await this.#bind(host?.includes(":") || host === undefined ? "udp6" : "udp4");
    this.#socket = socket;
    socket.on("error", (error) => this.#context.fail(error));
    socket.on("message", (message) => this.#gather(message));
    const drops = new KernelDrops(socket.address().port);
    this.#drops = drops;
    const labels = { receiver: this.#context.id };
    const help = "Datagrams that the kernel dropped because the receive buffer was full.";
    this.#context.meter.observe("weir_udp_kernel_drops_total", help, labels, "counter", () =>
      drops.read(),
    );
    this.#checkBuffer(socket);
  }

  /** Port that the system chose or the configuration named; undefined while not listening. */
  get port(): number | undefined {
    return this.#socket?.address().port;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    const end = this.#context.nowMs() + DRAIN_MS;
    for (let seen = -1; seen !== this.#received && !deadline.aborted; ) {
      seen = this.#received;
      await turn();
      await turn();
      if (this.#context.nowMs() >= end) break;
    }
    this.#drops?.read();
    await new Promise<void>((resolve) => socket.close(resolve));
    this.#flush();
    await settled([...this.#inFlight], deadline);
  }

  async #bind(type: "udp4" | "udp6"): Promise<Socket> {
    const { endpoint, recv_buffer_size } = this.#config;
    const { host, port } = parseEndpoint(endpoint);
    const socket = createSocket({ type, recvBufferSize: recv_buffer_size });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind({ port, ...(host !== undefined && { address: host }) }, () => {
          socket.off("error", reject);
          resolve();
        });
      });
      return socket;
    } catch (reason) {
      socket.close();
      const error = reason instanceof Error ? reason : new Error(PipelineError.from(reason).why);
      // No host means every address, also on a machine without IPv6.
      if (host === undefined && type === "udp6" && "code" in error && error.code !== "EADDRINUSE")
        return this.#bind("udp4");
      const what = `${this.#context.id} (udp)`;
      const option = `receivers.${this.#context.id}.udp.endpoint`;
      throw await describeListenError(error, { what, endpoint, option, transport: "udp" });
    }
  }

  #checkBuffer(socket: Socket): void {
    const asked = this.#config.recv_buffer_size;
    // Linux reports twice what may hold payload.
    const reported = socket.getRecvBufferSize();
    const granted = process.platform === "linux" ? Math.floor(reported / 2) : reported;
    if (granted >= asked) return;
    this.#context.log.warn(
      { receiver: this.#context.id, asked_bytes: asked, granted_bytes: granted },
      `the kernel grants a smaller UDP receive buffer than asked: bursts may be dropped; run "sysctl -w net.core.rmem_max=${asked}" or set recv_buffer_size: ${granted}`,
    );
  }

  #gather(message: Uint8Array): void {
    this.#received++;
    if (this.#length + message.length > GATHER_BYTES || this.#datagrams === STARTS) this.#flush();
    this.#slab.set(message, this.#length);
    this.#length += message.length;
    this.#ends[this.#datagrams++] = this.#length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(this.#onTime, GATHER_MS);
  }

  readonly #onTime = (): void => {
    this.#isScheduled = false;
    this.#flush();
  };

  /** Everything gathered becomes one request; datagrams with rows that are told apart within a request become requests of their own. */
  #flush(): void {
    if (this.#datagrams === 0) return;
    const lease = this.#handOver.admit(this.#length);
    if (isRefusal(lease)) this.#handOver.lost(this.#countLines(), lease.why);
    else this.#read(lease);
    this.#datagrams = 0;
    this.#length = 0;
  }

  #read(lease: Lease): void {
    const now = this.#context.nowMs();
    let from = 0;
    for (let i = 0; i < this.#datagrams; i++) {
      const to = this.#ends[i] ?? from;
      if (looksLikeJson(this.#slab, from, to)) this.#readJson(from, to, now);
      else this.#append(this.#slab, this.#view, from, to, now);
      from = to;
    }
    this.#submit(this.#door.finish(), lease);
  }

  #readJson(from: number, to: number, now: number): void {
    const json = this.#json;
    json.read(this.#slab, this.#view, from, to);
    this.#handOver.json(json);
    this.#append(json.bytes, json.view, 0, json.length, now, "ns");
  }

  /** The lines of one datagram. */
  #append(
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
    now: number,
    precision?: Precision,
  ): void {
    if (!this.#door.append(bytes, view, from, to, now, precision)) return;
    this.#door.undo();
    this.#spreadDoor.append(bytes, view, from, to, now, precision);
    this.#submitAlone(to - from);
  }

  #submitAlone(bytes: number): void {
    const result = this.#spreadDoor.finish();
    const lease = this.#handOver.admit(bytes);
    if (isRefusal(lease)) this.#handOver.lost(result.items + result.badLines, lease.why);
    else this.#submit(result, lease);
  }

  #submit(result: DoorResult, lease: Lease): void {
    const sent = this.#handOver
      .submit(result, lease)
      .catch((reason: unknown) =>
        this.#handOver.sayLost(result.items, PipelineError.from(reason).why),
      )
      .finally(() => {
        lease[Symbol.dispose]();
        this.#inFlight.delete(sent);
      });
    this.#inFlight.add(sent);
  }

  /** Lines and points among what was gathered, good or bad: the unit of every count. */
  #countLines(): number {
    let lines = 0;
    let from = 0;
    for (let i = 0; i < this.#datagrams; i++) {
      const to = this.#ends[i] ?? from;
      if (looksLikeJson(this.#slab, from, to)) {
        this.#json.read(this.#slab, this.#view, from, to);
        lines += this.#json.points;
      } else {
        this.#reader.reset(this.#slab, this.#view, from, to);
        while (this.#reader.next()) lines++;
      }
      from = to;
    }
    return lines;
  }
}

/** All settled, or the deadline. */
async function settled(promises: readonly Promise<void>[], deadline: AbortSignal): Promise<void> {
  if (deadline.aborted) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  deadline.addEventListener("abort", () => resolve(), { once: true });
  await Promise.race([Promise.allSettled(promises), late]);
}
