import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where peers are installed: kept between runs, never committed. */
export const CACHE = join(import.meta.dirname, "..", "..", "node_modules", ".cache", "interop");

/** What peers are made of: sources of senders, manifests, dependency lists. */
export const SOURCES = join(import.meta.dirname, "peers");

const INSTALL_TIMEOUT_MS = 900_000;

/** Runs one install step; the reason when it fails. Low priority, so that it disturbs nothing else. */
export function step(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): string | undefined {
  const { status, error, stderr } = spawnSync("nice", ["-n", "15", command, ...args], {
    cwd: options.cwd ?? folder("."),
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: 1 << 26,
  });
  if (status === 0) return undefined;
  const lines = String(stderr).trim().split("\n");
  return `${command} ${args[0]} failed: ${error?.message ?? lines.at(-1) ?? status}`;
}

/** A folder of the cache, made when it is not there. */
export function folder(name: string): string {
  const path = join(CACHE, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** `go install` of one program at one version, into the cache. */
export function goInstall(
  program: string,
  module: string,
  version: string,
  flags: readonly string[] = [],
): { readonly path: string; readonly missing: string | undefined } {
  const bin = folder(`bin/${program}-${version.replaceAll("+", "-")}`);
  const path = join(bin, program);
  if (existsSync(path)) return { path, missing: undefined };
  return {
    path,
    missing: step("go", ["install", ...flags, `${module}@${version}`], { env: { GOBIN: bin } }),
  };
}

/** Installs when the list of what is wanted differs from the one that was installed last. */
export function once(
  home: string,
  source: string,
  name: string,
  install: () => string | undefined,
): string | undefined {
  const wanted = readFileSync(join(SOURCES, source), "utf8");
  const done = join(home, "installed");
  if (existsSync(done) && readFileSync(done, "utf8") === wanted) return undefined;
  copyFileSync(join(SOURCES, source), join(home, name));
  const failure = install();
  if (failure === undefined) copyFileSync(join(SOURCES, source), done);
  return failure;
}
