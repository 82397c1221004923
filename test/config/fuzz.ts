/**
 * Run by checks.test.ts as a child process with a kill timer: any text, and any values in the places of options, end in a
 * configuration or in problems with a place each. WEIR_FUZZ=<n> for more; fast-check prints the seed of what failed.
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { loadConfig } from "../../src/config/load.ts";
import { catalog } from "./catalog.ts";

const numRuns = Number(process.env["WEIR_FUZZ"] ?? 400);

const WHOLE = `receivers: { otlp: { protocols: { grpc: } }, line_protocol: { udp: {} } }
exporters: { debug: , influxdb: { endpoint: "http://h:1", database: d }, otlp_http: { endpoint: "http://h:2" } }
processors: { batch: {} }
extensions: { file_storage: &x { directory: "\${env:A:-d}" }, health_check: }
service: { extensions: [file_storage], telemetry: { logs: { level: info } }, pipelines: { logs: { receivers: [otlp], processors: [batch], exporters: [influxdb] } } }`;

async function check(texts: readonly string[]): Promise<void> {
  const sources = texts.map((text) => `yaml:${text}`);
  const env = { A: `\${env:A}`, B: "[1, { a: x" };
  const loaded = await loadConfig({ sources, sets: [], env, catalog, cwd: "/" });
  const problems = loaded.ok ? loaded.warnings : loaded.problems;
  ok(loaded.ok || problems.length > 0, "neither a configuration nor a problem");
  for (const { file, line, column, message } of problems) {
    ok(file !== "" && line > 0 && column > 0, `no place: ${file}:${line}:${column}: ${message}`);
    ok(!/got undefined|\[object/.test(message), message);
  }
}

const text = fc.string({ unit: "binary" });
await fc.assert(
  fc.asyncProperty(fc.array(text, { maxLength: 2 }), (texts) => check(texts)),
  { numRuns },
);

const snippet = fc.oneof(
  fc.constantFrom(
    ...`{ } [ ] : &x *x \${ } <<: null - !!x ' | > ? # \${A} \${B} $$`.split(" "),
    "\n",
    "\t",
  ),
  fc.string({ maxLength: 4 }),
);
const edit = fc.tuple(fc.nat(WHOLE.length), fc.nat(12), snippet);
const mutilated = fc
  .array(edit, { minLength: 1, maxLength: 4 })
  .map((edits) =>
    edits.reduce(
      (old, [at, length, insert]) => old.slice(0, at) + insert + old.slice(at + length),
      WHOLE,
    ),
  );
await fc.assert(
  fc.asyncProperty(mutilated, (mutant) => check([mutant])),
  { numRuns },
);

const value = fc.jsonValue({ maxDepth: 3 }).map((json) => JSON.stringify(json));
await fc.assert(
  fc.asyncProperty(value, value, value, (a, b, c) =>
    check([
      `receivers: { otlp: ${a}, probe: { list: ${b}, any: ${c}, text: ${c}, pause: ${b} } }
exporters: { influxdb: ${b}, debug: ${c} }
processors: { batch: ${a}, attributes: { actions: [${b}] } }
service: { extensions: ${a}, telemetry: ${c}, pipelines: { logs: ${b}, traces: { receivers: ${c}, exporters: [${a}] } } }`,
    ]),
  ),
  { numRuns },
);
