import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "..", "fixtures", "tls");

/** Path of a test certificate or key: test/fixtures/tls/README.md. */
export function pemPath(name: string): string {
  return join(FOLDER, `${name}.pem`);
}

export function pem(name: string): string {
  return readFileSync(pemPath(name), "utf8");
}
