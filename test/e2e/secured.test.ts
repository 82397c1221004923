import { readFile, writeFile } from "node:fs/promises";
import { Agent, request as httpsRequest } from "node:https";
import { expect, test } from "vitest";
import { pem, pemPath } from "../support/certificates.ts";
import { isBalanced } from "../support/service.ts";
import { request, Stand } from "./stand.ts";

/** Status of a post over TLS, or what went wrong. */
function post(port: number, headers: Record<string, string>, key = "client"): Promise<string> {
  return new Promise((resolve) => {
    const sent = httpsRequest(
      {
        port,
        host: "127.0.0.1",
        path: "/v1/logs",
        method: "POST",
        headers: { "content-type": "application/x-protobuf", ...headers },
        ca: pem("ca"),
        cert: pem(key),
        key: pem(`${key}.key`),
        agent: new Agent({ keepAlive: false }),
      },
      (answer) => {
        answer.resume().on("end", () => resolve(String(answer.statusCode)));
      },
    );
    sent.on("error", (error) => resolve(String(error)));
    sent.end(request(["e-direct"]));
  });
}

test("one Weir sends to another over mTLS with a token; who lacks either stays outside, and no secret is logged", async () => {
  await using stand = await Stand.open((it) => {
    const frame = it.frame
      .replace(
        "extensions:\n",
        `extensions:\n  bearer_token_auth: { filename: "${it.path("token")}" }\n`,
      )
      .replace(
        "receivers:\n",
        `receivers:
  otlp/secured:
    protocols:
      http:
        endpoint: "127.0.0.1:${it.ports.store}"
        tls: { cert_file: "${pemPath("server")}", key_file: "${pemPath("server.key")}", client_ca_file: "${pemPath("ca")}" }
        auth: { authenticator: bearer_token_auth }
`,
      );
    const durable = "sending_queue: { storage: file_storage, batch: { flush_timeout: 10ms } }";
    return `${frame}
exporters:
  otlp_http:
    endpoint: "https://127.0.0.1:${it.ports.store}"
    tls: { ca_file: "${pemPath("ca")}", cert_file: "${pemPath("client")}", key_file: "${pemPath("client.key")}" }
    auth: { authenticator: bearer_token_auth }
    ${durable}
  file: { path: "${it.path("out.jsonl")}", format: otlp_json, ${durable} }
${it
  .serviceWith(`logs/out: { receivers: [otlp], exporters: [otlp_http] }
logs/in: { receivers: [otlp/secured], exporters: [file] }`)
  .replace("[health_check,", "[bearer_token_auth, health_check,")}`;
  });
  await writeFile(stand.path("token"), "s3cret-token\n");
  await stand.service.start();
  expect((await stand.post(["e-1", "e-2"])).status).toBe(200);
  const laws = await stand.until((all) =>
    all.some(({ exporter, delivered }) => exporter === "file" && delivered === 2),
  );
  expect(laws.every(isBalanced)).toBe(true);
  expect(await readFile(stand.path("out.jsonl"), "utf8")).toContain("e-2");
  const { store: port } = stand.ports;
  expect(await post(port, { authorization: "Bearer s3cret-token" })).toBe("200");
  expect(await post(port, { authorization: "Bearer guess" })).toBe("401");
  expect(await post(port, {})).toBe("401");
  expect(await post(port, { authorization: "Bearer s3cret-token" }, "stranger")).not.toMatch(/^\d/);
  expect(stand.service.log).not.toContain("s3cret");
});
