import { readFileSync } from "node:fs";

/** Version of the package. */
export function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  const content = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
  return content.version;
}

/** Prints `weir version 1.2.3`, as the Collector does. */
export function printVersion(write: (text: string) => void): number {
  write(`weir version ${version()}\n`);
  return 0;
}
