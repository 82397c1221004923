import { expect, test } from "vitest";
import { loadWithTree } from "../../src/config/load.ts";
import { redacted } from "../../src/config/print.ts";
import { config as otlpHttp } from "../../src/exporters/otlp_http/config.ts";
import { basicAuth } from "../../src/extensions/basic_auth/index.ts";
import { bearerTokenAuth } from "../../src/extensions/bearer_token_auth/index.ts";
import { otlp } from "../../src/receivers/otlp/index.ts";
import { catalog as small } from "./catalog.ts";
import { load, messages, warnings } from "./loading.ts";

const all = { logs: "beta", metrics: "beta", traces: "beta" } as const;
const catalog = {
  ...small,
  receivers: new Map([...small.receivers, ["otlp", otlp]]),
  exporters: new Map([
    ...small.exporters,
    ["otlp_http", { type: "otlp_http", schema: otlpHttp, stability: all }],
  ]),
  extensions: new Map([
    ...small.extensions,
    ["basic_auth", basicAuth],
    ["bearer_token_auth", bearerTokenAuth],
  ]),
} as typeof small;

/** A configuration in which the receiver names `of`, the exporter `by`, and only some extensions start. */
const text = (of: string, by: string, started: string) => `extensions:
  bearer_token_auth/in: { token: s3cret-token }
  basic_auth/users: { htpasswd: { inline: "ann:s3cret-word" } }
  basic_auth/me: { client_auth: { username: ann, password: s3cret-word } }
  file_storage: {}
receivers:
  otlp: { protocols: { grpc: { auth: { authenticator: ${of} } } } }
exporters:
  otlp_http: { endpoint: "http://h:1", auth: { authenticator: ${by} } }
service:
  extensions: [${started}]
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
const EVERY = "bearer_token_auth/in, basic_auth/users, basic_auth/me, file_storage";

test("authenticators that are configured, start and are set up for their side are fine", async () => {
  for (const [of, by] of [
    ["bearer_token_auth/in", "bearer_token_auth/in"],
    ["basic_auth/users", "basic_auth/me"],
  ] as const) {
    const loaded = await load([text(of, by, EVERY)], { catalog });
    expect([messages(loaded), warnings(loaded)]).toEqual([[], []]);
  }
});

test.each([
  [
    "bearer_token_auth/inn",
    "basic_auth/me",
    EVERY,
    'a.yaml:7:55: authenticator "bearer_token_auth/inn" is not configured under extensions (did you mean "bearer_token_auth/in"?)',
  ],
  [
    "basic_auth/users",
    "file_storage",
    EVERY,
    'a.yaml:9:63: extension "file_storage" is no authenticator: name a bearer_token_auth or basic_auth extension',
  ],
  [
    "basic_auth/me",
    "basic_auth/me",
    EVERY,
    'a.yaml:7:55: authenticator "basic_auth/me" is not set up for receivers: see the README of basic_auth',
  ],
  [
    "basic_auth/users",
    "basic_auth/users",
    EVERY,
    'a.yaml:9:63: authenticator "basic_auth/users" is not set up for exporters: see the README of basic_auth',
  ],
  [
    "bearer_token_auth/in",
    "basic_auth/me",
    "basic_auth/me",
    'a.yaml:7:55: authenticator "bearer_token_auth/in" is configured but does not start: add it to service.extensions',
  ],
])("%s for the receiver, %s for the exporter", async (of, by, started, expected) => {
  const loaded = await load([text(of, by, started)], { catalog });
  expect(messages(loaded)).toHaveLength(1);
  expect(messages(loaded)[0]).toContain(expected);
});

test("missing files of a tls block are errors at their line, before anything starts", async () => {
  const yaml = `receivers:
  otlp:
    protocols:
      http:
        tls:
          cert_file: /no/such/cert.pem
          key_file: /no/such/key.pem
exporters: { debug: }
service: { pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }
`;
  expect(messages(await load([yaml], { catalog }))).toEqual([
    expect.stringMatching(/^a\.yaml:6:22: .*cannot read "\/no\/such\/cert\.pem": there is no such/),
  ]);
  const empty = yaml
    .replace(/ +cert_file.*\n/, "")
    .replace(/ +key_file.*/, "          reload_interval: 1s");
  expect(messages(await load([empty], { catalog }))).toEqual([
    expect.stringMatching(/^a\.yaml:6:11: .*set cert_file and key_file/),
  ]);
});

test("the printed configuration holds no token, password or hash", async () => {
  const { root } = await loadWithTree({
    sources: [`yaml:${JSON.stringify(toJson())}`],
    sets: [],
    env: {},
    catalog,
    cwd: ".",
  });
  if (root === undefined) throw new Error("not read");
  const printed = JSON.stringify(redacted(root, catalog));
  expect(printed).toContain("[REDACTED]");
  expect(printed).not.toMatch(/s3cret|PRIVATE/);
});

function toJson(): object {
  return {
    extensions: {
      bearer_token_auth: { token: "s3cret", tokens: ["s3cret-2"] },
      basic_auth: {
        htpasswd: { inline: "ann:s3cret" },
        client_auth: { username: "ann", password: "s3cret" },
      },
    },
    receivers: { otlp: { protocols: { http: { tls: { key_pem: "PRIVATE" } } } } },
    exporters: { otlp_http: { endpoint: "http://h:1", tls: { key_pem: "PRIVATE" } } },
  };
}
