import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Mood, moodOf } from "./moods.ts";

/** Every item carries one such id, whatever the wire format: `tw-<request>-<item>-z`. */
export const ID = /tw-(\d+)-(\d+)-z/g;
/** Of the requests, how many hold one item that a sink with `rejects` never takes. */
const POISONED = 40;
const POISONED_ITEM = 13;

/** Whether sinks with `rejects` refuse this item for good. */
export function isPoison(id: string): boolean {
  const [, request = 0, item = 0] = id.split("-").map(Number);
  return request % POISONED === 7 && item === POISONED_ITEM;
}

interface Options {
  /** Id of the exporter. */
  readonly name: string;
  readonly speaks: "influxdb" | "otlp";
  readonly random: () => number;
  readonly moods: readonly Mood[];
  /** Share of requests that meet a mood. */
  readonly share: number;
  /** Refuses some items for good, leaves some out with a partial success, and says 413 to some requests of many items. */
  readonly rejects: boolean;
}

/** A destination with moods that remembers which items it stored, how often, and when. */
export class Sink {
  readonly name: string;
  readonly rejects: boolean;
  /** Times stored, by item id. */
  readonly stored = new Map<string, number>();
  /** Items that an answer said were left out. */
  readonly declined = new Set<string>();
  /** [wall clock, items] of each stored request. */
  readonly history: { readonly atMs: number; readonly items: number }[] = [];
  /** Requests by what became of them. */
  readonly met = new Map<string, number>();
  /** Items stored by requests whose answer never arrived. */
  ambiguous = 0;
  isKind = false;
  /** Refuses everything, stores nothing: for a moment. */
  isShut = false;
  /** The same, for as long as the senders send. */
  isDead = false;
  readonly #options: Options;
  #server: Server;
  #port = 0;

  constructor(options: Options) {
    this.name = options.name;
    this.rejects = options.rejects;
    this.#options = options;
    this.#server = this.#serve();
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this.#port;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Refuses connections for so long. */
  async down(ms: number): Promise<void> {
    await this.stop();
    this.#count("down");
    await sleep(ms);
    this.#server = this.#serve();
    await this.start();
  }

  /** Items stored since `fromMs`. */
  storedSince(fromMs: number): number {
    let items = 0;
    for (let i = this.history.length - 1; i >= 0; i--) {
      const entry = this.history[i];
      if (entry === undefined || entry.atMs < fromMs) break;
      items += entry.items;
    }
    return items;
  }

  get duplicates(): number {
    let extra = 0;
    for (const times of this.stored.values()) extra += times - 1;
    return extra;
  }

  #serve(): Server {
    const server = createServer(
      (request, response) => void this.#take(request, response).catch(() => {}),
    );
    return server.on("connection", (socket) => socket.on("error", () => {}));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on("error", () => {});
    response.on("error", () => {});
    const mood = this.#mood();
    if (mood?.when === "early") {
      this.#count(mood.name);
      return mood.answer(request, response);
    }
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString("latin1");
    const ids = [...body.matchAll(ID)].map(([id]) => id);
    if (this.isShut || this.isDead) response.writeHead(503).end("shut");
    else if (mood === undefined || (mood.when === "keeps" && !this.#areFine(ids)))
      this.#judge(ids, body, response);
    else {
      this.#count(mood.name);
      if (mood.when === "keeps") this.ambiguous += this.#store(ids);
      mood.answer(request, response);
    }
  }

  #mood(): Mood | undefined {
    const { random, moods, share } = this.#options;
    if (this.isShut || this.isDead || this.isKind || random() >= share) return undefined;
    return moodOf(moods, random());
  }

  #areFine(ids: readonly string[]): boolean {
    return !this.rejects || !ids.some(isPoison);
  }

  #judge(ids: readonly string[], body: string, response: ServerResponse): void {
    const { speaks, random } = this.#options;
    const isMoody = this.rejects && !this.isKind;
    if (isMoody && ids.length > 1 && random() < 0.02) {
      this.#count("413");
      response.writeHead(413).end("too large");
      return;
    }
    if (!this.#areFine(ids)) {
      if (speaks === "influxdb") this.#store(ids.filter((id) => !isPoison(id)));
      this.#count(speaks === "otlp" ? "400" : "400, partial write");
      response.writeHead(400).end(speaks === "otlp" ? "no" : partialWrite(body));
    } else if (isMoody && speaks === "otlp" && random() < 0.02) {
      this.#count("partial success");
      this.#store(ids.slice(1));
      for (const id of ids.slice(0, 1)) this.declined.add(id);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end(ONE_LEFT_OUT);
    } else {
      this.#count("stored");
      this.#store(ids);
      response.writeHead(speaks === "otlp" ? 200 : 204).end();
    }
  }

  #count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }

  #store(ids: readonly string[]): number {
    for (const id of ids) this.stored.set(id, (this.stored.get(id) ?? 0) + 1);
    if (ids.length > 0) this.history.push({ atMs: Date.now(), items: ids.length });
    return ids.length;
  }
}

/** InfluxDB 3's answer to `accept_partial` when lines are bad: the others are stored. */
function partialWrite(body: string): string {
  const data = body.split("\n").flatMap((line, i) => {
    const bad = (line.match(ID) ?? []).some(isPoison);
    const entry = { original_line: line, line_number: i + 1, error_message: "poisoned" };
    return bad ? [entry] : [];
  });
  return JSON.stringify({ error: "partial write of line protocol occurred", data });
}

/** ExportLogsServiceResponse { partial_success { rejected_log_records: 1, error_message: "no" } } */
const ONE_LEFT_OUT = Buffer.from([0x0a, 6, 0x08, 1, 0x12, 2, 0x6e, 0x6f]);
