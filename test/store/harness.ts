import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const SELF = [process.execPath, fileURLToPath(new URL("./entry.ts", import.meta.url))];

/** Starting is most of what these tests do: with stripped and compiled code at hand it takes a third less. */
const NODE_COMPILE_CACHE = fileURLToPath(
  new URL("../../node_modules/.cache/weir-tests", import.meta.url),
);

export interface TestStore {
  readonly child: ChildProcess;
  readonly url: string;
  /** What it wrote to standard error so far. */
  said(): string;
  write(lines: string, options?: WriteOptions): Promise<{ status: number; body: string }>;
  query(sql: string, options?: QueryOptions): Promise<{ status: number; body: string }>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
}

interface WriteOptions {
  readonly db?: string;
  readonly params?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array<ArrayBuffer>;
}
interface QueryOptions {
  readonly db?: string;
  readonly format?: string;
}

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "weir-store-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A store process that listens; rejects with what it wrote when it ends first. */
export async function startStore(
  directory: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<TestStore> {
  const [program = "", ...rest] = SELF;
  const child = spawn(
    program,
    [...rest, "store", "--endpoint", "127.0.0.1:0", "--directory", directory, ...args],
    { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, NODE_COMPILE_CACHE, ...env } },
  );
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const exited = once(child, "close");
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) =>
      resolve(line.replace("listening on ", "")),
    );
    void exited.then(([code]) => reject(new Error(`exit ${code}: ${errors}`)));
  });
  const url = `http://${address}`;
  const query: TestStore["query"] = async (sql, { db = "weir", format = "json" } = {}) => {
    const response = await fetch(`${url}/api/v3/query_sql`, {
      method: "POST",
      body: JSON.stringify({ db, q: sql, format }),
    });
    return { status: response.status, body: await response.text() };
  };
  return {
    child,
    url,
    said: () => errors,
    query,
    async write(lines, { db = "weir", params = "precision=ns", headers = {}, body } = {}) {
      const response = await fetch(`${url}/api/v3/write_lp?db=${db}&${params}`, {
        method: "POST",
        headers,
        body: body ?? lines,
      });
      return { status: response.status, body: await response.text() };
    },
    async rows(sql) {
      const { status, body } = await query(sql);
      if (status !== 200) throw new Error(`${status}: ${body}`);
      return JSON.parse(body) as Record<string, unknown>[];
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code as number | null;
    },
  };
}
