import { Followed, isPrintOf, type Print } from "./followed.ts";
import type { Source } from "./source.ts";

/** Contents whose files are gone, that are remembered in case they come back under another name or in an archive. */
const ORPHANS_MAX = 1_024;
/** How long a file that is like another one may grow to become its copy (ms); later it is a file of its own. */
const COPY_MS = 3_000;
/** A file that is found so long before or after another one was emptied (ms) may be its copy. */
const EMPTIED_MS = 10_000;

/** What was read before under another name goes on. */
export interface Adopted {
  readonly file: Followed;
  /** What is open of the file that it was, to be closed. */
  readonly closing: Source | undefined;
}

/** "own": a content that nobody has read. "wait": it cannot be told yet, or it is a copy of a file that is still read. */
export type Identity = "own" | "wait" | Adopted;

/** All contents that were read, and which of them a new file is. */
export class Contents {
  /** By inode: files that are there. */
  readonly #files = new Map<string, Followed>();
  /** The newest last. */
  readonly #orphans = new Set<Followed>();
  readonly #fingerprint: number;
  #nextKey = 1;
  /** Grows when a content changes its file, or loses it. */
  #moves = 0;

  constructor(fingerprint: number) {
    this.#fingerprint = fingerprint;
  }

  /** What an earlier process read: orphans, until their files are found. */
  restore(file: Followed): void {
    // Of several contents of one file, only the latest can still be there.
    const before = this.orphanOf(file.inode);
    if (before !== undefined) before.replacedAtMs = performance.now();
    this.#orphans.add(file);
    this.#nextKey = Math.max(this.#nextKey, Number(file.key) + 1 || 1);
  }

  get files(): Iterable<Followed> {
    return this.#files.values();
  }

  get count(): number {
    return this.#files.size;
  }

  byInode(inode: string): Followed | undefined {
    return this.#files.get(inode);
  }

  /** The latest orphan that had this inode; whether it is the same content, its bytes must say. */
  orphanOf(inode: string): Followed | undefined {
    let latest: Followed | undefined;
    for (const orphan of this.#orphans) if (orphan.inode === inode) latest = orphan;
    return latest;
  }

  /** A file that nobody knows. */
  add(path: string, inode: string): Followed {
    const file = new Followed(this.newKey(), path, inode);
    this.#files.set(inode, file);
    return file;
  }

  newKey(): string {
    return String(this.#nextKey++);
  }

  /** The file is an orphan's content: it goes on where that was left, under its key. Returns what is to be closed. */
  adopt(orphan: Followed, file: Followed): Source | undefined {
    this.#moves++;
    this.#orphans.delete(orphan);
    if (this.#files.get(orphan.inode) === orphan) this.#files.delete(orphan.inode);
    const closing = orphan.source;
    const { path, inode, source, size, changedMs, isArchive, given } = file;
    Object.assign(orphan, { path, inode, source, size, changedMs, isArchive, given });
    Object.assign(orphan, { isGone: false, isIdentified: true, isQueued: false, stuckAt: -1 });
    orphan.grewAtMs = file.grewAtMs;
    file.source = undefined;
    this.#files.set(inode, orphan);
    return closing;
  }

  /** The file is gone; its content is remembered. Returns the keys of what is forgotten instead. */
  orphan(file: Followed): readonly string[] {
    this.#moves++;
    if (this.#files.get(file.inode) === file) this.#files.delete(file.inode);
    const isUntouched = file.offset === 0 && Object.keys(file.mark).length === 0;
    if (isUntouched && !file.isDone) return [file.key];
    this.#orphans.add(file);
    const forgotten: string[] = [];
    for (const old of this.#orphans) {
      if (this.#orphans.size <= ORPHANS_MAX) break;
      this.#orphans.delete(old);
      forgotten.push(old.key);
    }
    return forgotten;
  }

  /** The file at this inode has another content now: what was read is an orphan, and reading begins anew. */
  restart(file: Followed): Followed {
    const { path, inode, size, changedMs, isArchive, given } = file;
    const fresh = new Followed(this.newKey(), path, inode);
    Object.assign(fresh, { size, changedMs, isArchive, given, source: file.source });
    fresh.grewAtMs = performance.now();
    file.source = undefined;
    file.replacedAtMs = fresh.grewAtMs;
    this.orphan(file);
    this.#files.set(inode, fresh);
    return fresh;
  }

  /**
   * What the file is whose first bytes these are. `tailAt` reads the bytes before a position of it, to see whether they are those that were
   * read there; `isStill` looks whether another file has what was read of it.
   */
  async identify(
    file: Followed,
    head: Uint8Array,
    tailAt: (offset: number, length: number) => Promise<Uint8Array>,
    isStill: (other: Followed) => Promise<boolean>,
  ): Promise<Identity> {
    const moves = this.#moves;
    const identity = await this.#identityOf(file, head, tailAt, isStill);
    // What was compared may be another file's by now.
    if (moves !== this.#moves) return "wait";
    if (typeof identity === "string") return identity;
    return { file: identity, closing: this.adopt(identity, file) };
  }

  async #identityOf(
    file: Followed,
    head: Uint8Array,
    tailAt: (offset: number, length: number) => Promise<Uint8Array>,
    isStill: (other: Followed) => Promise<boolean>,
  ): Promise<"own" | "wait" | Followed> {
    const isAged = performance.now() - file.grewAtMs > COPY_MS;
    const fits = async (other: Followed): Promise<boolean> => {
      const { offset, tail } = other;
      return isPrintOf(tail, await tailAt(offset, tail.length));
    };
    for (const orphan of [...this.#orphans].reverse()) {
      if (!this.#mayBe(orphan, file) || !isPrintOf(orphan.head, head)) continue;
      // Whoever works on it has not noticed yet.
      if (await fits(orphan)) return orphan.isQueued ? "wait" : orphan;
    }
    for (const other of this.#files.values()) {
      const { offset, tail } = other;
      if (other === file || other.head.length === 0 || !isAlike(other.head, head)) continue;
      // Of two that nobody has read, the one that was found first begins.
      if (!other.isIdentified && Number(other.key) > Number(file.key)) continue;
      const there = await tailAt(offset, tail.length);
      const isAsLong = there.length === tail.length;
      // It goes on in another way.
      if (isAsLong && !isPrintOf(tail, there)) continue;
      const isWhole = other.head.length >= this.#fingerprint && head.length >= this.#fingerprint;
      if (isAsLong && (isWhole || file.isArchive)) {
        // A file without a name that was read to its end is as good as closed.
        const isOver = other.isGone && !other.isQueued && other.offset >= other.size;
        return isOver ? other : "wait";
      }
      const isVerified = other.head.bytes !== undefined;
      if (!isAged || !isVerified || !(await isStill(other))) return "wait";
    }
    return "own";
  }

  /** A short beginning is no proof: many files begin with the same line. Then it must be the same file, or its copy from just before it was emptied. */
  #mayBe(orphan: Followed, file: Followed): boolean {
    if (orphan.head.length === 0) return false;
    if (orphan.head.length >= this.#fingerprint || orphan.inode === file.inode) return true;
    // Nobody packs what was not a log before.
    if (file.isArchive) return true;
    return Math.abs(orphan.replacedAtMs - file.grewAtMs) < EMPTIED_MS;
  }
}

/** Whether two beginnings are the same as far as both go. */
function isAlike(print: Print, head: Uint8Array): boolean {
  const { bytes } = print;
  if (bytes === undefined) return isPrintOf(print, head);
  const length = Math.min(bytes.length, head.length);
  // Most differ soon, and there may be thousands.
  for (let i = 0; i < 16 && i < length; i++) if (bytes[i] !== head[i]) return false;
  return length > 0 && Buffer.compare(bytes.subarray(0, length), head.subarray(0, length)) === 0;
}
