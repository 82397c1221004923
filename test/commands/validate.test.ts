import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import { UsageError } from "../../src/commands/arguments.ts";
import { main } from "../../src/commands/dispatch.ts";
import { runPrintConfig } from "../../src/commands/print-config.ts";
import { runValidate } from "../../src/commands/validate.ts";
import { catalog } from "../config/catalog.ts";
import { probing } from "../config/loading.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-validate-"));
const file = (name: string, text: string) => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
const good = file("good.yaml", probing("int: 5"));
const bad = file("bad.yaml", probing("itn: 5\npause: 5"));

afterAll(() => rmSync(directory, { recursive: true }));

function capture() {
  const written = { out: "", err: "" };
  const output = {
    out: (text: string) => {
      written.out += text;
    },
    err: (text: string) => {
      written.err += text;
    },
  };
  return { written, output };
}

test("a right configuration: silence and 0", async () => {
  const { written, output } = capture();
  expect(await runValidate(["--config", good], catalog, output)).toBe(0);
  expect(written).toEqual({ out: "", err: "" });
});

test("warnings are told, and it is right all the same", async () => {
  const unset = file("unset.yaml", probing(`int: \${env:WEIR_NOT_THERE}`));
  const { written, output } = capture();
  expect(await runValidate(["--config", unset], catalog, output)).toBe(0);
  expect(written.out).toBe("");
  expect(written.err).toMatch(
    /^warning: .*unset\.yaml:3:10: the environment variable WEIR_NOT_THERE is not set .*\n$/,
  );
});

test("a wrong one: every mistake on stderr, and 1", async () => {
  const { written, output } = capture();
  expect(
    await runValidate([`--config=${bad}`, "--set", "exporters.debug.x=1"], catalog, output),
  ).toBe(1);
  expect(written.out).toBe("");
  expect(written.err.split("\n")).toEqual([
    `${bad}:3:5: unknown key "itn" (did you mean "int"?)`,
    `${bad}:4:12: expected a duration such as 200ms, 5s or 1h30m, got 5`,
    '--set exporters.debug.x:1:1: unknown key "x" (valid: verbosity)',
    "",
  ]);
});

test("print-config: merged, without secrets unless asked for", async () => {
  const secret = file(
    "secret.yaml",
    `receivers: { otlp: { protocols: { grpc: } } }
exporters: { influxdb: { endpoint: "http://u:hunter2@h:1", database: d, token: hunter2 } }
service: { pipelines: { logs: { receivers: [otlp], exporters: [influxdb] } } }\n`,
  );
  const first = capture();
  const args = ["--config", secret, "--set", "exporters.influxdb.api=v2"];
  expect(await runPrintConfig(args, catalog, first.output)).toBe(0);
  expect(first.written.out).not.toContain("hunter2");
  expect(parse(first.written.out)).toMatchObject({
    exporters: { influxdb: { token: "[REDACTED]", endpoint: "http://[REDACTED]@h:1", api: "v2" } },
  });
  const second = capture();
  await runPrintConfig([...args, "--mode=unredacted", "--format=json"], catalog, second.output);
  expect(JSON.parse(second.written.out)).toMatchObject({
    exporters: { influxdb: { token: "hunter2" } },
  });
  const third = capture();
  expect(await runPrintConfig(["--config", bad], catalog, third.output)).toBe(1);
  expect(third.written.err).toContain("unknown key");
  await expect(runPrintConfig([...args, "--mode=x"], catalog, third.output)).rejects.toThrow(
    UsageError,
  );
});

test.each([
  [["valdate"], 'weir: unknown command "valdate" (did you mean "validate"?)\n'],
  [["frobnicate"], 'weir: unknown command "frobnicate" (see weir --help)\n'],
  [["--confg", "x"], "weir: unknown flag: --confg (did you mean --config?)\n"],
  [["--config"], "weir: --config needs a value: --config <value>\n"],
  [["--help=1"], "weir: --help takes no value\n"],
  [["--version", "x"], 'weir: unexpected "x" (see weir --help)\n'],
  [[], "weir: nothing to do: weir --config otel-config.yaml, or weir --help\n"],
])("%j is one line and 1", async (args, message) => {
  const { written, output } = capture();
  expect(await main(args, output)).toBe(1);
  expect(written).toEqual({ out: "", err: message });
});

test.each([["--help"], ["-h"], ["help"], ["validate --help"]])("%s", async (line) => {
  const { written, output } = capture();
  expect(await main(line.split(" "), output)).toBe(0);
  expect(written.out).toContain("weir --config <file>");
});

test.each([["--version"], ["-v"], ["version"]])("%s", async (flag) => {
  const { written, output } = capture();
  expect(await main([flag], output)).toBe(0);
  expect(written.out).toMatch(/^weir version \d+\.\d+\.\d+\n$/);
});

const root = join(import.meta.dirname, "../..");
const run = (args: readonly string[]) =>
  spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", timeout: 100_000 });

test("the real command: ten mistakes end with 1, the default configuration with silence", () => {
  const wrong = run(["src/main.ts", "validate", "--config", "test/config/ten-mistakes.yaml"]);
  expect([wrong.status, wrong.stdout, wrong.stderr.trimEnd().split("\n").length]).toEqual([
    1,
    "",
    10,
  ]);
  const right = run(["src/main.ts", "validate", "--config", "otel-config.yaml"]);
  expect([right.status, right.stdout, right.stderr]).toEqual([0, "", ""]);
});

test.each(["24.18.0", "24.17.9", "22.19.0"])("Node %s is refused in one line", (old) => {
  const pretend = `Object.defineProperty(process, "versions", { value: { node: "${old}" } })`;
  const ended = run([
    "--import",
    `data:text/javascript,${encodeURIComponent(pretend)}`,
    "src/main.ts",
  ]);
  expect(ended.status).toBe(1);
  expect(ended.stderr).toBe(
    `weir needs Node 24.18.1 or newer, this is ${old}: use node_modules/.bin/node, or npm start\n`,
  );
});
