import { readFile } from "node:fs/promises";
import { Metadata } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { EXPORT_PATHS } from "../../src/receivers/otlp/grpc.ts";
import { GrpcClient } from "../support/grpc-client.ts";
import { encodeRequest } from "../support/otlp.ts";
import { Stand } from "./stand.ts";

const LOGS = JSON.stringify({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "x" } }] }] }],
});

test.each([
  [true, "acme"],
  [false, undefined],
])(
  "include_metadata: %j: a processor takes a header of the request into an attribute",
  async (includes, tenant) => {
    await using stand = await Stand.open(
      (it) => `${it.frame.replaceAll(
        /(?:http|grpc): \{ endpoint: "[^"]+"/g,
        (block) => `${block}, include_metadata: ${includes}`,
      )}
processors:
  resource: { attributes: [{ action: insert, key: tenant, from_context: metadata.X-Tenant }] }
  attributes: { actions: [{ action: insert, key: worker_id, from_context: metadata.x-tenant }] }
exporters:
  file: { path: "${it.path("out.json")}", format: otlp_json }
${it.serviceWith("logs: { receivers: [otlp], processors: [resource, attributes], exporters: [file] }")}`,
    );
    await stand.service.start();
    const answer = await fetch(`http://127.0.0.1:${stand.ports.http}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-tenant": "acme" },
      body: LOGS,
    });
    expect(answer.status).toBe(200);
    const client = new GrpcClient(`127.0.0.1:${stand.ports.grpc}`);
    const metadata = new Metadata();
    metadata.set("x-tenant", "acme");
    const message = encodeRequest("logs", JSON.parse(LOGS));
    expect((await client.call(EXPORT_PATHS.logs, message, { metadata })).code).toBe(0);
    client.close();
    await stand.until((laws) =>
      laws.some(({ appended, queued }) => appended === 2 && queued === 0),
    );
    const firstOf = (attributes: { key: string; value: { stringValue: string } }[] = []) =>
      attributes.map(({ value }) => value.stringValue)[0];
    const lines = (await readFile(stand.path("out.json"), "utf8")).trimEnd().split("\n");
    const requests = lines.flatMap((line) => JSON.parse(line).resourceLogs);
    expect(requests).toHaveLength(2);
    for (const request of requests) {
      expect(firstOf(request.resource?.attributes)).toBe(tenant);
      expect(firstOf(request.scopeLogs[0].logRecords[0].attributes)).toBe(tenant);
    }
  },
);
