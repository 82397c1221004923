import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const TABLES = ["/proc/net/udp", "/proc/net/udp6"] as const;
/** Columns of a row, split at spaces (Linux, net/ipv4/udp.c). */
const LOCAL = 1;
const INODE = 9;
const DROPS = 12;

/** Datagrams that the kernel threw away because our receive buffer was full: the system's own count. Zero where there is no /proc. */
export class KernelDrops {
  readonly #inodes: ReadonlySet<string>;
  #last = 0;

  /** Finds the sockets of this process that are bound to `port`, over the inodes of its open files. */
  constructor(port: number) {
    const own = ownSockets();
    this.#inodes = new Set(
      rows()
        .filter((row) => portOf(row) === port && own.has(row[INODE] ?? ""))
        .map((row) => row[INODE] ?? ""),
    );
  }

  /** False when the system does not tell. */
  get isKnown(): boolean {
    return this.#inodes.size > 0;
  }

  /** Never falls, also when the socket is gone. */
  read(): number {
    if (!this.isKnown) return 0;
    const ours = rows().filter((row) => this.#inodes.has(row[INODE] ?? ""));
    const drops = ours.reduce((sum, row) => sum + Number(row[DROPS]), 0);
    this.#last = Math.max(this.#last, drops);
    return this.#last;
  }
}

function rows(): string[][] {
  return TABLES.flatMap((table) => readLines(table).slice(1)).map((line) =>
    line.trim().split(/\s+/),
  );
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

function portOf(row: readonly string[]): number {
  return Number.parseInt(row[LOCAL]?.split(":")[1] ?? "", 16);
}

function ownSockets(): Set<string> {
  const inodes = new Set<string>();
  for (const fd of list("/proc/self/fd")) {
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/self/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
