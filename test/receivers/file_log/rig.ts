import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Memo } from "../../../src/journal/journal.ts";
import type { Batch } from "../../../src/otlp/batch.ts";
import { PipelineError } from "../../../src/otlp/status.ts";
import type { Component, Intake } from "../../../src/pipeline/contracts.ts";
import { fileLog } from "../../../src/receivers/file_log/index.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { type Stored, stored } from "../http_logs/rig.ts";

/** A directory with files, a receiver that follows them, and what a storage would keep from one receiver to the next. */
export class FileRig {
  readonly directory: string;
  readonly rig = new ReceiverRig("file_log");
  /** As a journal would keep them, with the batches of the same submit. */
  readonly memos = new Map<string, string>();
  /** What the next submits are answered with instead of being kept. */
  readonly refusals: ("refused" | "unavailable" | "too_large")[] = [];
  /** Batches of more bytes are too large for the queue. */
  queueBytes = Number.POSITIVE_INFINITY;
  nowMs: () => number = Date.now;
  #receiver: Component | undefined;

  constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<FileRig> {
    return new FileRig(await mkdtemp(join(tmpdir(), "weir-file-log-")));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async start(options: object = {}): Promise<void> {
    const given = { include: [this.path("*.log*")], start_at: "beginning", poll_interval: "20ms" };
    const config = fileLog.schema.parse({ ...given, force_flush_period: "80ms", ...options });
    this.#receiver = fileLog.create(
      config,
      { ...this.rig.context, nowMs: () => this.nowMs() },
      this.#intake(),
    );
    await this.#receiver.start();
  }

  async stop(): Promise<void> {
    await this.#receiver?.stop(AbortSignal.timeout(2_000));
    this.#receiver = undefined;
    expect(this.rig.budget.used, "every lease is given back").toBe(0);
  }

  async restart(options: object = {}): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  get records(): Stored[] {
    return stored(this.rig);
  }

  get bodies(): unknown[] {
    return this.records.map(({ body }) => body);
  }

  /** Waits until so many records are there, and a moment longer: more would be wrong. */
  async expectCount(count: number): Promise<void> {
    await this.#atLeast(count);
    await sleep(60);
    expect(this.rig.items).toBe(count);
  }

  async expectBodies(...bodies: string[]): Promise<void> {
    await this.#atLeast(bodies.length);
    await sleep(60);
    expect(this.bodies).toEqual(bodies);
  }

  /** However few there are then: what is expected tells more than a time that is over. */
  async #atLeast(count: number): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    while (this.rig.items < count && Date.now() < end) await sleep(5);
  }

  #intake(): Intake {
    const { intake } = this.rig;
    return {
      ...intake,
      memory: { storage: "file_storage", isAtomic: true, read: () => new Map(this.memos) },
      submit: async (batches, lease, memos = []) => {
        this.#mayRefuse(batches);
        await intake.submit(batches, lease);
        this.#keep(memos);
      },
    };
  }

  #mayRefuse(batches: readonly Batch[]): void {
    const isLarge = batches.some(({ length }) => length > this.queueBytes);
    const kind = isLarge ? "too_large" : this.refusals.shift();
    if (kind !== undefined) throw new PipelineError({ kind, retryAfterMs: 1, why: "a test" });
  }

  #keep(memos: readonly Memo[]): void {
    for (const { key, text } of memos)
      if (text === undefined) this.memos.delete(key);
      else this.memos.set(key, text);
  }
}

/** `n` lines that say which they are. */
export function lines(name: string, from: number, to: number): string {
  let text = "";
  for (let i = from; i < to; i++) text += `${name} line ${i}\n`;
  return text;
}
