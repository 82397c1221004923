import { totalmem } from "node:os";
import type { Refusal } from "../otlp/status.ts";
import type { Lease, RequestMetadata } from "../pipeline/contracts.ts";

const MIB = 1024 * 1024;
/** Assumed when neither a cgroup nor an operator says how much memory the process may use. */
const UNLIMITED_BYTES = 512 * MIB;
/** Share of the memory limit that requests in flight may take. */
const BUDGET_SHARE = 0.25;
/** What one connection may hold outside any lease: a read buffer or a full HTTP/2 window, and its bookkeeping. */
const CONNECTION_BYTES = 64 * 1024;
const MOST_CONNECTIONS = 10_000;
const FEWEST_CONNECTIONS = 64;

/** The answer when a body, its decompression or its index does not fit the byte budget. */
const MEMORY_USED_UP: Refusal = {
  kind: "refused",
  retryAfterMs: 1000,
  why: "the memory for requests in flight is used up: send again after a pause",
};

/** The answer for this lease's request after it could not grow. */
export function outOfMemory(lease: { readonly isBeyondBudget?: boolean } | undefined): Refusal {
  if (lease?.isBeyondBudget !== true) return MEMORY_USED_UP;
  const why =
    "it needs more memory than all requests in flight may hold together: send fewer items in one request";
  return { kind: "too_large", retryAfterMs: 0, why };
}

/** Bytes that requests in flight may hold. One per process: all servers take from it. */
export interface Budget {
  readonly limit: number;
  readonly used: number;
  /** Undefined when fewer than `bytes` are left; nothing was taken then. */
  take(bytes: number): Lease | undefined;
}

/** The cgroup's memory limit (v2 or v1); 512 MiB where there is none. */
export function memoryLimitBytes(
  constrained = process.constrainedMemory(),
  installed = totalmem(),
): number {
  return constrained > 0 && constrained < installed ? constrained : UNLIMITED_BYTES;
}

/** 25 % of the memory limit. */
export function defaultBudgetBytes(limit = memoryLimitBytes()): number {
  return Math.floor(limit * BUDGET_SHARE);
}

/** Connections that a server accepts at once: what they hold unasked must fit the budget. At least 64, at most 10,000. */
export function defaultMaxConnections(budgetBytes = defaultBudgetBytes()): number {
  const fitting = Math.floor(budgetBytes / CONNECTION_BYTES);
  return Math.min(MOST_CONNECTIONS, Math.max(FEWEST_CONNECTIONS, fitting));
}

/** A budget of `bytes`. */
export function createBudget(bytes: number): Budget {
  if (!(bytes > 0)) throw new RangeError(`the byte budget must be above 0, got ${bytes}`);
  return new ByteBudget(bytes);
}

class ByteBudget implements Budget {
  readonly limit: number;
  #used = 0;
  constructor(limit: number) {
    this.limit = limit;
  }
  get used(): number {
    return this.#used;
  }
  take(bytes: number): Lease | undefined {
    return this.charge(bytes) ? new ByteLease(this, bytes) : undefined;
  }
  /** Written so that NaN and negative amounts are refused too. */
  charge(bytes: number): boolean {
    if (!(bytes >= 0 && this.#used + bytes <= this.limit)) return false;
    this.#used += bytes;
    return true;
  }
  release(bytes: number): void {
    this.#used -= bytes;
  }
}

class ByteLease implements Lease {
  readonly #budget: ByteBudget;
  #bytes: number;
  #over = false;
  isBeyondBudget = false;
  // Here from the start, so that all leases have one shape.
  metadata: RequestMetadata | undefined = undefined;
  transport = "";
  constructor(budget: ByteBudget, bytes: number) {
    this.#budget = budget;
    this.#bytes = bytes;
  }
  get bytes(): number {
    return this.#bytes;
  }
  grow(bytes: number): boolean {
    if (this.#over) return false;
    if (!this.#budget.charge(bytes)) {
      this.isBeyondBudget = this.#bytes + bytes > this.#budget.limit;
      return false;
    }
    this.#bytes += bytes;
    return true;
  }
  /** Gives everything back, once. */
  [Symbol.dispose](): void {
    if (this.#over) return;
    this.#over = true;
    this.#budget.release(this.#bytes);
    this.#bytes = 0;
  }
}
