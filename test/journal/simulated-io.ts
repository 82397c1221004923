import { setImmediate as nextTurn } from "node:timers/promises";
import type { DiskFile, FileIo } from "../../src/journal/file-io.ts";
import { systemError } from "./faulty-io.ts";

/** Seeded random numbers (mulberry32). */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** 0 ≤ n < limit. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }
}

const SECTOR = 512;

class Inode {
  /** As a running system sees it. */
  now = new Uint8Array(0);
  /** As it would be after a power cut without luck. */
  durable = new Uint8Array(0);
  /** Written since the last sync. */
  pending: { at: number; bytes: Uint8Array }[] = [];
}

/**
 * A disk that forgets what was not synced: after a power cut every unsynced sector is there or not, by chance; names may be
 * as they were before the last directory sync. Also runs full, fails syncs, dies in the middle of an operation, flips bits.
 */
export class SimulatedDisk {
  readonly #random: Random;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #nameOps: ((names: Map<string, Inode>) => void)[] = [];
  #epoch = 0;
  /** Bytes of all files together before ENOSPC. */
  capacity = Number.POSITIVE_INFINITY;
  /** Operations until the machine stops in the middle of one. */
  operationsLeft = Number.POSITIVE_INFINITY;
  /** This many of the next syncs fail. */
  failingSyncs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get isDead(): boolean {
    return this.operationsLeft < 0;
  }
  files(): string[] {
    return [...this.#names.keys()];
  }
  bytes(name: string): Uint8Array {
    return (this.#names.get(name) as Inode).now;
  }
  put(name: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.now = bytes.slice();
    inode.durable = bytes.slice();
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  /** Another disk with the same files, all of them durable. */
  copy(random: Random): SimulatedDisk {
    const copy = new SimulatedDisk(random);
    for (const name of this.files()) copy.put(name, this.bytes(name));
    return copy;
  }

  /** The process dies: the system keeps what was written, synced or not. */
  kill(): void {
    this.#revive();
  }

  powerCut(): void {
    this.#revive();
    const kept = this.#random.below(this.#nameOps.length + 1);
    for (const op of this.#nameOps.slice(0, kept)) op(this.#durableNames);
    this.#nameOps = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of new Set(this.#names.values())) {
      for (const { at, bytes } of inode.pending) this.#maybeWrite(inode, at, bytes);
      inode.pending = [];
      inode.now = inode.durable.slice();
    }
  }

  flipBit(name: string): void {
    const inode = this.#names.get(name);
    if (inode === undefined || inode.now.length === 0) return;
    const at = this.#random.below(inode.now.length);
    const bit = 1 << this.#random.below(8);
    inode.now[at] = (inode.now[at] ?? 0) ^ bit;
    if (at < inode.durable.length) inode.durable[at] = inode.now[at] ?? 0;
  }

  mount(): FileIo {
    const epoch = ++this.#epoch;
    return {
      list: async () => {
        this.#step(epoch);
        return [...this.#names.keys()];
      },
      open: async (name, mode) => {
        this.#step(epoch);
        let inode = this.#names.get(name);
        if (inode === undefined) {
          if (mode === "read") throw systemError("ENOENT");
          const created = new Inode();
          inode = created;
          this.#change((names) => names.set(name, created));
        }
        return this.#file(inode, epoch);
      },
      rename: async (from, to) => {
        this.#step(epoch);
        const inode = this.#names.get(from);
        if (inode === undefined) throw systemError("ENOENT");
        this.#change((names) => {
          names.delete(from);
          names.set(to, inode);
        });
      },
      remove: async (name) => {
        // To free a file takes a while, and others go on.
        for (let turns = this.#random.below(4); turns > 0; turns--) await nextTurn();
        this.#step(epoch);
        if (!this.#names.has(name)) throw systemError("ENOENT");
        this.#change((names) => names.delete(name));
      },
      syncDirectory: async () => {
        this.#step(epoch);
        this.#failSync();
        this.#durableNames = new Map(this.#names);
        this.#nameOps = [];
      },
    };
  }

  #file(inode: Inode, epoch: number): DiskFile {
    return {
      write: async (parts, at) => {
        await undefined;
        const bytes = Buffer.concat(parts);
        const room = this.capacity - this.#used() + Math.max(0, inode.now.length - at);
        this.#step(epoch, () =>
          this.#write(inode, at, bytes.subarray(0, this.#random.below(bytes.length + 1))),
        );
        if (bytes.length <= room) return this.#write(inode, at, bytes);
        this.#write(inode, at, bytes.subarray(0, Math.max(0, room)));
        throw systemError("ENOSPC");
      },
      read: async (into, at) => {
        this.#step(epoch);
        const part = inode.now.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      size: async () => {
        this.#step(epoch);
        return inode.now.length;
      },
      datasync: async () => {
        await undefined;
        this.#step(epoch);
        try {
          this.#failSync();
        } catch (error) {
          for (const { at, bytes } of inode.pending) this.#maybeWrite(inode, at, bytes);
          inode.pending = [];
          throw error;
        }
        inode.durable = inode.now.slice();
        inode.pending = [];
      },
      close: async () => {},
    };
  }

  #step(epoch: number, last?: () => void): void {
    if (epoch !== this.#epoch || this.operationsLeft < 0) throw systemError("EIO");
    if (this.operationsLeft-- > 0) return;
    last?.();
    throw systemError("EIO");
  }

  #failSync(): void {
    if (this.failingSyncs <= 0) return;
    this.failingSyncs--;
    throw systemError("EIO");
  }

  #revive(): void {
    this.#epoch++;
    this.operationsLeft = Number.POSITIVE_INFINITY;
    this.failingSyncs = 0;
    this.capacity = Number.POSITIVE_INFINITY;
  }

  #change(op: (names: Map<string, Inode>) => void): void {
    op(this.#names);
    this.#nameOps.push(op);
  }

  #used(): number {
    let used = 0;
    for (const { now } of this.#names.values()) used += now.length;
    return used;
  }

  #write(inode: Inode, at: number, bytes: Uint8Array): void {
    inode.now = put(inode.now, at, bytes);
    inode.pending.push({ at, bytes });
  }

  /** Sector by sector, in any order, some never. */
  #maybeWrite(inode: Inode, at: number, bytes: Uint8Array): void {
    const likely = this.#random.below(3) / 2;
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR - ((at + from) % SECTOR));
      if (this.#random.chance(likely))
        inode.durable = put(inode.durable, at + from, bytes.subarray(from, to));
      from = to;
    }
  }
}

function put(
  into: Uint8Array<ArrayBuffer>,
  at: number,
  bytes: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(into.length, at + bytes.length));
  grown.set(into);
  grown.set(bytes, at);
  return grown;
}
