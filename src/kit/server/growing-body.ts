import { SLACK } from "../../wire/slack.ts";
import type { Body, Growing } from "./compression.ts";

/**
 * What of a body is taken from the budget before any of it is there. More is taken only while it arrives, so that who declares
 * much and sends little holds little.
 */
export const FIRST_LEASE_BYTES = 1 << 20;
/** The same for a body that does not declare its length. */
export const UNKNOWN_LEASE_BYTES = 1 << 16;

/**
 * Memory for the whole of a declared body is reserved at once where it is not more, and else when so much has come: copying takes time, and
 * copying much at once would hold up the event loop.
 */
const RESERVE_BYTES = 4 << 20;

/** Bytes to admit for a body of `declaredBytes` (below 0: unknown) before it is read. */
export function firstLeaseBytes(declaredBytes: number, limitBytes: number): number {
  const first =
    declaredBytes < 0 ? UNKNOWN_LEASE_BYTES : Math.min(declaredBytes, FIRST_LEASE_BYTES);
  return Math.min(first, limitBytes);
}

/**
 * Collects a body in one piece of memory with SLACK behind it: of exact size where that is small or known, else it doubles, each
 * growth taken from the lease first.
 */
export class GrowingBody {
  /** Bytes that the lease covers. */
  #capacity: number;
  readonly #most: number;
  readonly #isDeclared: boolean;
  readonly #lease: Growing | undefined;
  #bytes: Uint8Array | undefined;
  #length = 0;

  /** `lease` covers `firstLeaseBytes` already. */
  constructor(declaredBytes: number, limitBytes: number, lease: Growing | undefined) {
    this.#capacity = firstLeaseBytes(declaredBytes, limitBytes);
    this.#isDeclared = declaredBytes >= 0;
    this.#most = declaredBytes < 0 ? limitBytes : Math.min(declaredBytes, limitBytes);
    this.#lease = lease;
  }

  get length(): number {
    return this.#length;
  }

  /** Most bytes that may come. */
  get most(): number {
    return this.#most;
  }

  /** Copies a chunk in. False when the budget has no room for it; it must not exceed `most`. */
  add(chunk: Uint8Array): boolean {
    const end = this.#length + chunk.length;
    if (end > this.#capacity) {
      const wanted = Math.min(this.#most, Math.max(end, this.#capacity * 2));
      if (this.#lease?.grow(wanted - this.#capacity) === false) return false;
      this.#capacity = wanted;
    }
    if (this.#bytes === undefined || this.#bytes.length < this.#capacity + SLACK) this.#enlarge();
    this.#bytes?.set(chunk, this.#length);
    this.#length = end;
    return true;
  }

  /** The whole body came as `bytes`, with SLACK behind `length`: nothing is copied. */
  adopt(bytes: Uint8Array, length: number): void {
    this.#bytes = bytes;
    this.#length = length;
  }

  /** Nobody will read it. */
  discard(): void {
    if (this.#bytes !== undefined) free(this.#bytes);
    this.#bytes = undefined;
  }

  body(): Body {
    return { bytes: this.#bytes ?? new Uint8Array(SLACK), length: this.#length };
  }

  #enlarge(): void {
    // The system gives pages only to what is written, so this takes no memory that the lease does not cover.
    const isReserved =
      this.#isDeclared && (this.#most <= RESERVE_BYTES || this.#capacity > RESERVE_BYTES);
    const roomy = Buffer.allocUnsafeSlow((isReserved ? this.#most : this.#capacity) + SLACK);
    const old = this.#bytes;
    this.#bytes = roomy;
    if (old === undefined) return;
    roomy.set(old.subarray(0, this.#length));
    free(old);
  }
}

/** Now, not when the garbage collector comes: the lease that covers these megabytes is given back now too. */
function free(bytes: Uint8Array): void {
  if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0);
}
