import { expect, test } from "vitest";
import { createComponents } from "../../src/components.ts";
import { load, messages, warnings } from "./loading.ts";

test("include_metadata is warned about where it has no effect, of receivers in use", async () => {
  const loaded = await load(
    [
      `receivers:
  otlp:
    protocols:
      http:
        include_metadata: true
  influxdb/other: { include_metadata: true }
  influxdb: { include_metadata: true }
exporters: { debug: }
service: { pipelines: { logs: { receivers: [otlp, influxdb], exporters: [debug] } } }
`,
    ],
    { catalog: createComponents },
  );
  expect(messages(loaded)).toEqual([]);
  expect(warnings(loaded)).toEqual([
    "a.yaml:7:33: include_metadata has no effect in influxdb: processors read the headers of the otlp receiver's requests only",
  ]);
});
