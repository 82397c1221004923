import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { catalog } from "./catalog.ts";
import { configOf, load, messages, probe, probing, warnings } from "./loading.ts";

const SMALL = `
receivers: { otlp: { protocols: { grpc: } } }
exporters: { debug: }
service: { pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }
`;

test("the shape of a loaded configuration", async () => {
  const config = configOf(await load([SMALL]));
  expect(config.receivers.get("otlp")).toEqual({
    id: "otlp",
    type: "otlp",
    name: undefined,
    options: {
      protocols: { grpc: { enabled: true, endpoint: "127.0.0.1:4317", max_mib: 64 } },
    },
    where: { file: "a.yaml", line: 2, column: 14 },
  });
});

test("ten mistakes, ten messages, each where it is", async () => {
  const file = "test/config/ten-mistakes.yaml";
  const loaded = await loadConfig({
    sources: [file],
    sets: [],
    env: {},
    catalog,
    cwd: join(import.meta.dirname, "../.."),
  });
  expect(messages(loaded)).toEqual([
    `${file}:4:15: unknown key "endpont" (did you mean "endpoint"?)`,
    `${file}:7:16: expected one of auto, ns, us, ms, s, got "minutes"`,
    `${file}:9:3: unknown processor type "atributes" (did you mean "attributes"?)`,
    `${file}:12:3: "database" is missing: expected a text`,
    `${file}:13:15: expected a URL, for example "http://127.0.0.1:8181"`,
    `${file}:14:14: expected a duration such as 200ms, 5s or 1h30m, got 5`,
    `${file}:15:31: exporter "influxdb" wants the storage "file_storag", which is not configured under extensions (did you mean "file_storage"?)`,
    `${file}:19:30: extension "health_check" is not configured: add it under extensions (valid: file_storage)`,
    `${file}:21:31: receiver "line_protocl" is not configured (did you mean "line_protocol"?)`,
    `${file}:22:5: unknown signal "log" (did you mean "logs"?)`,
  ]);
});

describe("merging", () => {
  test("maps merge, lists and scalars replace, positions point into the right file", async () => {
    const later = `
receivers: { probe: { list: [c], int: 2, map: { b: 2 } } }
`;
    const loaded = await load([probing("list: [a, b]\ntext: first\nmap: { a: 1, b: 1 }"), later]);
    const component = configOf(loaded).receivers.get("probe");
    expect(component?.options).toMatchObject({
      list: ["c"],
      int: 2,
      text: "first",
      map: { a: 1, b: 2 },
    });
    expect(component?.where).toEqual({ file: "b.yaml", line: 2, column: 14 });
    const wrong = await load([probing("text: first"), "receivers: { probe: { int: x } }\n"]);
    expect(messages(wrong)).toEqual(['b.yaml:1:28: expected a whole number, got "x"']);
  });

  test("null in a later file erases", async () => {
    const first = `${SMALL}processors: { attributes: { actions: [{ key: a, action: delete }] } }\n`;
    expect(configOf(await load([first])).processors.size).toBe(1);
    expect(configOf(await load([first, "processors:\n"])).processors.size).toBe(0);
  });

  test("--set wins, in order, and errors name it", async () => {
    const sets = ["receivers.probe.int=3", "receivers::probe::int=4", "receivers.probe.text=0123"];
    const loaded = await load([probing("int: 1")], { sets });
    expect(configOf(loaded).receivers.get("probe")?.options).toMatchObject({
      int: 4,
      text: "0123",
    });
    const wrong = await load([probing("int: 1")], {
      sets: ["receivers.probe.int=x", "a.b", "..=1", "receivers.probe.itn=1"],
    });
    expect(messages(wrong)).toEqual([
      "--set ..:1:1: expected keys with dots between them: --set a.b.c=value",
      "--set a.b:1:1: an equal sign is missing: --set a.b.c=value",
      '--set receivers.probe.int:1:1: expected a whole number, got "x"',
      '--set receivers.probe.itn:1:1: unknown key "itn" (did you mean "int"?)',
    ]);
  });

  test("sources: file:, yaml: with ::, env:, and what is none", async () => {
    const loaded = await load([probing("int: 1")], {
      sources: ["file:a.yaml", "yaml:receivers::probe::int: 7", "env:MORE"],
      env: { MORE: "receivers: { probe: { text: from env } }" },
    });
    expect(configOf(loaded).receivers.get("probe")?.options).toMatchObject({
      int: 7,
      text: "from env",
    });
    const wrong = await load([], {
      sources: ["http://x/y", "nope.yaml", "env:UNSET", "/dev/zero"],
    });
    expect(messages(wrong)).toEqual([
      'http://x/y:1:1: unknown scheme "http": use file:, env: or yaml:',
      "nope.yaml:1:1: cannot read nope.yaml: there is no such file",
      "env:UNSET:1:1: the environment variable UNSET is not set",
      "/dev/zero:1:1: cannot read /dev/zero: not a file",
    ]);
    expect(messages(await load([]))).toEqual([
      "--config:1:1: at least one configuration is needed, for example --config otel-config.yaml",
    ]);
  });
});

describe("references", () => {
  const env = {
    X: "value",
    N: "12",
    EMPTY: "",
    ZERO: "0123",
    NAME: "X",
    REF: `\${env:X}`,
    M: "{ a: 1 }",
  };
  test.each([
    [`\${env:X}`, "value"],
    [`\${X}`, "value"],
    [`a-\${env:X}-\${X}`, "a-value-value"],
    [`\${env:UNSET:-other}`, "other"],
    [`\${env:EMPTY:-other}`, ""],
    [`\${env:UNSET:-}`, ""],
    [`\${env:\${env:NAME}}`, "value"],
    [`\${env:UNSET:-\${env:X}}`, "value"],
    [`\${env:REF}`, "value"],
    ["$$", "$"],
    [`$\${X}`, `\${X}`],
    [`$$\${X}`, "$value"],
    [`$$$\${X}`, `$\${X}`],
    ["$X", "$X"],
    ["a$", "a$"],
    [`\${X`, `\${X`],
    [`\${env:N}`, "12"],
    [`\${env:M}`, "{ a: 1 }"],
    [`\${yaml:plain}`, "plain"],
  ])("text: '%s' is %j", async (written, expected) => {
    expect(await probe(`text: '${written}'`, env)).toMatchObject({ text: expected });
  });

  // The typing table of the Collector: YAML decides the type, the text is kept for options that are texts.
  test.each([
    ["int", "12", 12],
    ["int", "0123", 83],
    ["int", "0xdeadbeef", 0xdeadbeef],
    ["int", "0b101", 5],
    ["int", "1_000", 1000],
    ["text", "0123", "0123"],
    ["text", "0xdeadbeef", "0xdeadbeef"],
    ["text", "true", "true"],
    ["text", '"0123"', "0123"],
    ["text", "1.0", "1.0"],
    ["text", "[a,b]", "[a,b]"],
    ["text", "2006-01-02", "2006-01-02"],
    ["text", "a: [unclosed", "a: [unclosed"],
    ["bool", "true", true],
    ["float", "2.5", 2.5],
    ["float", "3", 3],
    ["list", "[a,b]", ["a", "b"]],
    ["list", "a,b", ["a", "b"]],
    ["map", "{ a: 1 }", { a: 1 }],
    ["any", "yes", "yes"],
    ["any", "null", null],
  ])("%s from ENV=%s", async (option, text, expected) => {
    expect(await probe(`${option}: \${env:ENV}`, { ENV: text })).toMatchObject({
      [option]: expected,
    });
  });

  test.each([
    ["int", '"0123"', 'expected a whole number, got "0123"'],
    ["bool", "t", 'expected true or false, got "t"'],
    ["bool", "23", "expected true or false, got 23"],
    ["bool", "yes", 'expected true or false, got "yes"'],
    ["int", "1.5", "expected a whole number, got 1.5"],
    ["map", "x", 'expected a mapping, got "x"'],
    ["pause", "5", 'expected a duration such as 200ms, 5s or 1h30m, got "5"'],
    ["pause", "-5s", 'expected a duration such as 200ms, 5s or 1h30m, got "-5s"'],
  ])("%s from ENV=%s is an error where it is written", async (option, text, message) => {
    const column = 4 + option.length + 3;
    expect(await probe(`${option}: \${env:ENV}`, { ENV: text })).toEqual([
      `a.yaml:3:${column}: ${message}`,
    ]);
  });

  test.each([
    ["text: 5", ["a.yaml:3:11: expected a text, got 5"]],
    ["text: true", ["a.yaml:3:11: expected a text, got true"]],
    ["int: 0755", { int: 493 }],
    ["text: no", { text: "no" }],
    ["text:", { text: "default" }],
    ["int: null", { int: 1 }],
    ["list:", { list: [] }],
    ["list: a,b", { list: ["a", "b"] }],
    ["any: &x [1, *x2]\n", ["a.yaml:3:17: alias *x2 has no anchor before it"]],
    ["any: { <<: { a: 1, b: 1 }, b: 2 }", { any: { a: 1, b: 2 } }],
    ["int: 1\nint: 2", ['a.yaml:4:5: key "int" is there twice: remove one']],
    ["__proto__: 1", ['a.yaml:3:5: key "__proto__" is not allowed']],
  ])("written %j", async (written, expected) => {
    const found = await probe(written);
    if (Array.isArray(expected)) expect(found).toEqual(expected);
    else expect(found).toMatchObject(expected);
  });

  test("an unset variable is nothing, and a warning", async () => {
    const loaded = await load([probing(`int: \${env:NOT_THERE}\ntext: x\${NOT_THERE}y`)]);
    expect(configOf(loaded).receivers.get("probe")?.options).toMatchObject({ int: 1, text: "xy" });
    const why = `the environment variable NOT_THERE is not set and has no default: set it, or write \${env:NOT_THERE:-default}`;
    expect(warnings(loaded)).toEqual([`a.yaml:3:10: ${why}`, `a.yaml:4:11: ${why}`]);
  });

  test(`\${file:} brings structure, with positions inside that file`, async () => {
    const part = `a: 1\nb: ['\${env:B}']\n`;
    const found = await probe(
      `map: \${file:part.yaml}\ntext: <\${file:raw.txt}>`,
      { B: "7" },
      {
        "part.yaml": part,
        "raw.txt": "raw",
      },
    );
    expect(found).toMatchObject({ map: { a: 1, b: [7] }, text: "<raw>" });
    const wrong = await load(
      [`${SMALL}extensions: \${file:ext.yaml}\n`],
      {},
      {
        "ext.yaml": "health_check:\n  endpiont: x\n",
      },
    );
    expect(messages(wrong)).toEqual([
      'ext.yaml:2:3: unknown key "endpiont" (did you mean "endpoint"?)',
    ]);
  });

  test.each([
    [`\${env:a.b}`, "a variable's name has letters, digits and _ and starts with no digit"],
    [`\${https:x}`, 'unknown scheme "https": use file:, env: or yaml:'],
    [`\${env:DOLLAR$x}`, '"$" is not allowed in a reference'],
  ])("%s is refused", async (written, message) => {
    expect(JSON.stringify(await probe(`text: '${written}'`))).toContain(
      JSON.stringify(message).slice(1, -1),
    );
  });

  test("references that never end are stopped", async () => {
    expect(
      JSON.stringify(await probe(`text: \${env:A}`, { A: `x\${env:B}`, B: `y\${env:A}` })),
    ).toContain("too many references");
    const self = { "self.yaml": `[\${file:self.yaml}, \${file:self.yaml}]` };
    expect(JSON.stringify(await probe(`any: \${file:self.yaml}`, {}, self))).toContain(
      "too many references",
    );
    const wide = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`V${i}`, `\${V${i + 1}}\${V${i + 1}}`]),
    );
    expect(JSON.stringify(await probe(`text: \${V0}`, wide))).toContain("too many references");
    const big = { BIG: "x".repeat(1 << 20) };
    expect(JSON.stringify(await probe(`text: a${`\${BIG}`.repeat(9)}`, big))).toContain("8 MiB");
  });
});

describe("limits of one text", () => {
  test.each([
    ["larger than 1 MiB", `# ${"x".repeat(1 << 20)}`],
    ["nested deeper than 64 levels", `a: ${"[".repeat(70)}${"]".repeat(70)}`],
    ["more than 100 aliases", `a: &a 1\nb: [${"*a, ".repeat(101)}]`],
    ["more than 100000 values", `a: [${"1, ".repeat(100_001)}]`],
    ["nested too deeply", `a: ${"[".repeat(400_000)}`],
  ])("%s", async (message, text) => {
    expect(messages(await load([text])).join("\n")).toMatch(
      message === "nested too deeply" ? /nested|not YAML/ : message,
    );
  });

  test("aliases inside aliases cannot multiply", async () => {
    const levels = Array.from({ length: 20 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}]`);
    expect(messages(await load([`l0: &l0 x\n${levels.join("\n")}`])).join("\n")).toContain(
      "more than 100 aliases",
    );
  });

  test("more problems than anyone reads are cut", async () => {
    const text = Array.from({ length: 500 }, (_, i) => `k${i}: 1`).join("\n");
    expect(messages(await load([text]))).toHaveLength(200);
  });

  test("at most 100 configurations", async () => {
    const loaded = await load([SMALL], { sources: Array.from({ length: 101 }, () => "a.yaml") });
    expect(messages(loaded)).toEqual(["--config:1:1: at most 100 configurations can be merged"]);
  });
});
