import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

test("mistakes end the start with 1 and one line each, which cannot drive the terminal", () => {
  const cwd = mkdtempSync(join(tmpdir(), "weir-run-"));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  writeFileSync(
    join(cwd, "c.yaml"),
    `receivers: { otlp: { protocols: { http: } } }
exporters: { debug: { "x\\e]0;owned\\u0007\\nsecond line": 1 } }
service: { pipelines: { logs: { receivers: [otpl], exporters: [debug] } } }
`,
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "--config", "c.yaml"], {
    cwd,
    encoding: "utf8",
    timeout: 100_000,
    killSignal: "SIGKILL",
  });
  expect(status).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toMatch(
    /^c\.yaml:2:23: unknown key "x\\u001b\]0;owned\\u0007\\u000asecond line".*\nc\.yaml:3:45: receiver "otpl" is not configured \(did you mean "otlp"\?\)\n$/,
  );
});

test("a reader that has seen enough ends a command without a word", () => {
  const command = `"${process.execPath}" "${MAIN}" --help | true; echo "codes \${PIPESTATUS[*]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", command], {
    encoding: "utf8",
    timeout: 100_000,
    killSignal: "SIGKILL",
  });
  expect({ stdout, stderr }).toEqual({ stdout: "codes 0 0\n", stderr: "" });
});
