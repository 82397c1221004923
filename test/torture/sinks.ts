import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a sink may do with a request. The last two store it and let the sender believe that it failed. */
const MOODS = [
  "store",
  "refuse",
  "throttle",
  "hang",
  "reset",
  "store_and_reset",
  "store_and_hang",
] as const;
type Mood = (typeof MOODS)[number];

/** Every item carries one such id, whatever the wire format: `tw-<request>-<item>-z`. */
const ID = /tw-(\d+)-(\d+)-z/g;

/** A destination with moods that remembers which items it stored, how often, and when. */
export class Sink {
  readonly name: string;
  /** Times stored, by item id. */
  readonly stored = new Map<string, number>();
  /** [wall clock, items] of each stored request. */
  readonly history: { readonly atMs: number; readonly items: number }[] = [];
  /** Items stored by requests whose answer never arrived. */
  ambiguous = 0;
  requests = 0;
  isKind = false;
  /** Refuses everything, stores nothing. */
  isShut = false;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #success: number;

  constructor(name: string, success: number, random: () => number) {
    this.name = name;
    this.#success = success;
    this.#random = random;
    this.#server = createServer(
      (request, response) => void this.#take(request, response).catch(() => {}),
    );
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
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

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on("error", () => {});
    response.on("error", () => {});
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    this.requests++;
    const mood = this.#mood();
    let items = 0;
    if (mood.startsWith("store")) items = this.#store(Buffer.concat(parts).toString("latin1"));
    if (mood.startsWith("store_")) this.ambiguous += items;
    if (mood === "store") response.writeHead(this.#success).end();
    else if (mood === "refuse") response.writeHead(503).end("busy");
    else if (mood === "throttle") response.writeHead(429, { "retry-after": "1" }).end("slow down");
    else if (mood.endsWith("reset")) request.socket.resetAndDestroy();
    // "hang": no answer at all; the sender's timeout ends it
  }

  #mood(): Mood {
    if (this.isShut) return "refuse";
    if (this.isKind || this.#random() < 0.8) return "store";
    return MOODS[1 + Math.floor(this.#random() * (MOODS.length - 1))] as Mood;
  }

  #store(body: string): number {
    let items = 0;
    for (const [id] of body.matchAll(ID)) {
      this.stored.set(id, (this.stored.get(id) ?? 0) + 1);
      items++;
    }
    this.history.push({ atMs: Date.now(), items });
    return items;
  }
}
