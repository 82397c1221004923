import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Damaged requests per run; WEIR_FUZZ asks for more. Each of them is compared some hundred times, cut at every byte. */
const ROUNDS = Number(process.env["WEIR_FUZZ"] ?? 250);
const KILL_AFTER_MS = 200_000 + ROUNDS * 50;
const child = fileURLToPath(new URL("fuzz-child.ts", import.meta.url));

test(
  "the indexer judges damaged requests as its slow twin does, and never hangs",
  async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [child, process.env["WEIR_SEED"] ?? "11", String(ROUNDS)],
      { timeout: KILL_AFTER_MS, killSignal: "SIGKILL", maxBuffer: 1 << 28 },
    );
    const { tally, failures } = JSON.parse(stdout);
    expect(failures).toEqual([]);
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(20);
  },
  KILL_AFTER_MS + 5000,
);
