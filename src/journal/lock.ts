import { randomUUID } from "node:crypto";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Keeps a second process out. Taken by the journal's start, given back by its stop. */
export interface Lock {
  /** Rejects with one clear line when somebody else holds it. */
  acquire(): Promise<AsyncDisposable>;
}

interface Owner {
  readonly pid: number;
  /** Start time of the process as the kernel counts it: a reused pid is not the same process. */
  readonly started: string;
  readonly token: string;
}

/** Name of the lock in its directory. */
export const LOCK_FILE = "lock";

/** A lock file with pid and process start time. One left by a process that is gone is taken over. */
export function directoryLock(directory: string): Lock {
  return { acquire: () => acquire(directory) };
}

async function acquire(directory: string): Promise<AsyncDisposable> {
  const path = join(directory, LOCK_FILE);
  const started = (await startTimeOf(process.pid)) ?? "";
  const mine: Owner = { pid: process.pid, started, token: randomUUID() };
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await create(path, mine)) {
      if ((await read(path))?.token === mine.token) return release(path, mine);
      continue;
    }
    const owner = await read(path);
    if (owner !== undefined && (await isAlive(owner))) throw held(directory, owner);
    await takeAway(path, owner);
  }
  throw new Error(
    `cannot lock ${directory}: others keep taking ${LOCK_FILE}; check which processes use it`,
  );
}

function held(directory: string, owner: Owner): Error {
  return new Error(
    `${directory} is in use by process ${owner.pid}: stop that process, or give this one another directory`,
  );
}

/** A complete file appears at once or not at all, so nobody reads half of it. */
async function create(path: string, owner: Owner): Promise<boolean> {
  const temporary = `${path}.${owner.token}`;
  await writeFile(temporary, JSON.stringify(owner), { mode: 0o600, flag: "wx" });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

/** Moves a stale lock aside; puts it back when it turns out to be somebody's fresh one. */
async function takeAway(path: string, stale: Owner | undefined): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const moved = await read(aside);
  if (moved !== undefined && moved.token !== stale?.token) await link(aside, path).catch(() => {});
  await unlink(aside);
}

function release(path: string, mine: Owner): AsyncDisposable {
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      if ((await read(path))?.token === mine.token) await unlink(path).catch(() => {});
    },
  };
}

async function read(path: string): Promise<Owner | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    if (!("pid" in value && "started" in value && "token" in value)) return undefined;
    const { pid, started, token } = value;
    if (typeof pid !== "number" || typeof started !== "string" || typeof token !== "string")
      return undefined;
    return Number.isInteger(pid) && pid > 0 ? { pid, started, token } : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (codeOf(error) !== "EPERM") return false;
  }
  const started = await startTimeOf(owner.pid);
  return started === undefined || owner.started === "" || started === owner.started;
}

/** Field 22 of /proc/<pid>/stat with the boot's id; undefined where there is no /proc. The command, field 2, may hold spaces and parentheses. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? undefined : `${boot.trim()}/${ticks}`;
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
