import { expect, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { load, messages, warnings } from "./loading.ts";

test("include_metadata is warned about where it stands, of receivers in use", async () => {
  const loaded = await load(
    [
      `receivers:
  otlp:
    protocols:
      grpc: { include_metadata: true }
      http:
        include_metadata: true
  otlp/other:
    protocols: { http: { include_metadata: true } }
  influxdb: { include_metadata: false }
exporters: { debug: }
service: { pipelines: { logs: { receivers: [otlp, influxdb], exporters: [debug] } } }
`,
    ],
    { catalog: createComponents() },
  );
  expect(messages(loaded)).toEqual([]);
  const why = expect.stringContaining("include_metadata has no effect: no processor or exporter");
  expect(warnings(loaded)).toEqual([why, why]);
  expect(warnings(loaded).map((text) => text.split(" ")[0])).toEqual([
    "a.yaml:4:33:",
    "a.yaml:6:27:",
  ]);
});
