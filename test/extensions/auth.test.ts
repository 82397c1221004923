import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { basicAuth } from "../../src/extensions/basic_auth/index.ts";
import { bearerTokenAuth } from "../../src/extensions/bearer_token_auth/index.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { type Authenticator, isAuthenticator } from "../../src/pipeline/auth.ts";
import type { ExtensionContext, ExtensionFactory } from "../../src/pipeline/factory.ts";
import { SELF, temporaryDirectory } from "../store/harness.ts";
import { recordingLog, recordingMeter } from "../support/export-rig.ts";
import { until } from "../support/until.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const log = recordingLog();
const context: ExtensionContext = {
  id: "auth/x",
  log,
  meter: recordingMeter(),
  indexer: createIndexer(),
  nowMs: Date.now,
  fail: () => {},
  isReady: () => true,
  self: SELF,
};

async function started<C>(factory: ExtensionFactory<C>, options: unknown): Promise<Authenticator> {
  const component = factory.create(factory.schema.parse(options), context);
  await component.start();
  cleanups.push(() => component.stop(AbortSignal.timeout(1_000)));
  if (!isAuthenticator(component)) throw new Error("authenticates nobody");
  return component;
}

/** Why a request with this header is turned away; "in" when it is not. */
async function knock(auth: Authenticator, value?: string, name = "authorization"): Promise<string> {
  const denial = await auth.server?.check((asked) => (asked === name ? value : undefined));
  return denial === undefined ? "in" : denial.why;
}

function directory(): string {
  const { path, remove } = temporaryDirectory();
  cleanups.push(remove);
  return path;
}

/** Messages and places of what the schema refuses. */
function problems<C>(factory: ExtensionFactory<C>, options: unknown): string {
  const { error } = factory.schema.safeParse(options);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`).join();
}

describe("bearer_token_auth", () => {
  test("lets the token in and nothing else; the challenge names the scheme", async () => {
    const auth = await started(bearerTokenAuth, { token: "s3cret" });
    expect(await knock(auth, "Bearer s3cret")).toBe("in");
    expect(await knock(auth, "bearer s3cret")).toBe("in");
    expect(await knock(auth)).toContain("Authorization is missing");
    expect(await knock(auth, "s3cret")).toContain("another scheme");
    expect(await knock(auth, "Basic s3cret")).toContain("another scheme");
    for (const wrong of ["Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crett", "Bearer S3CRET"])
      expect(await knock(auth, wrong)).not.toBe("in");
    expect(await auth.server?.check(() => undefined)).toMatchObject({
      challenge: 'Bearer realm="weir"',
    });
    expect(auth.client?.headers()).toEqual(["authorization", "Bearer s3cret"]);
  });

  test("several tokens, another header, no scheme", async () => {
    const auth = await started(bearerTokenAuth, {
      tokens: ["one", "two"],
      header: "X-API-Key",
      scheme: "",
    });
    expect(await knock(auth, "two", "x-api-key")).toBe("in");
    expect(await knock(auth, "three", "x-api-key")).not.toBe("in");
    expect(await knock(auth, "one")).toContain("X-API-Key is missing");
    expect(auth.client?.headers()).toEqual(["x-api-key", "one"]);
  });

  test("a changed file holds; one that cannot be used changes nothing", async () => {
    const filename = join(directory(), "tokens");
    writeFileSync(filename, "old\n\nother\n");
    const auth = await started(bearerTokenAuth, { filename, reload_interval: "10ms" });
    expect([await knock(auth, "Bearer old"), await knock(auth, "Bearer other")]).toEqual([
      "in",
      "in",
    ]);
    writeFileSync(filename, "brand-new\n");
    await until(() => auth.client?.headers()[1] === "Bearer brand-new");
    expect([await knock(auth, "Bearer brand-new"), await knock(auth, "Bearer old")]).toEqual([
      "in",
      "the token is not known here",
    ]);
    const before = log.lines.length;
    writeFileSync(filename, "");
    await until(() => log.lines.slice(before).some(({ level }) => level === "warn"));
    expect(await knock(auth, "Bearer brand-new")).toBe("in");
    expect(JSON.stringify(log.lines)).not.toContain("brand-new");
  });

  test("what is wrong is said at its option, without the token", () => {
    expect(problems(bearerTokenAuth, {})).toContain("set token, tokens or filename");
    expect(problems(bearerTokenAuth, { token: "a b-secret" })).toMatch(
      /^token: a token holds a sp/,
    );
    expect(problems(bearerTokenAuth, { token: "a b-secret" })).not.toContain("b-secret");
    expect(problems(bearerTokenAuth, { filename: "/no/such" })).toMatch(
      /^filename: .*no such file/,
    );
    expect(problems(bearerTokenAuth, { token: "x", scheme: "a b" })).toContain("one word");
    expect(problems(bearerTokenAuth, { token: "x", header: "a:b" })).toContain("name of a header");
  });

  test("tokens never print", () => {
    const options = bearerTokenAuth.schema.parse({ token: "s3cret", tokens: ["t0ken"] });
    for (const text of [JSON.stringify(options), inspect(options, { depth: 9 })])
      expect(text).not.toMatch(/s3cret|t0ken/);
  });
});

/** Hashes of "pässword x" by openssl passwd and crypt(3). */
const HASHES = {
  plain: "pässword x",
  ssha: "{SSHA}xxU3vvv8T7mFF63M3LdVtI7wMcdzYWx0c2FsdA==",
  sha: "{SHA}ywZgtHMbP1sVzXBNK6SRV5pgNnM=",
  apr1: "$apr1$abcdefgh$eV3ALHwq73NdfRE8BLfqs/",
  md5: "$1$abcdefgh$QPqvkEh7/K25h64Vqtis9/",
  sha256: "$5$abcdefghijklmnop$7ZzNsomvle8KSoWxMcfeeNQ9sc9fbJHrRvB4IRFlOy9",
  sha512:
    "$6$abcdefghijklmnop$.1cEK7OjieU73MT9NNT5zxLNreSkGmiFc.av7ny3CAzOxblIkZUgH5bRjh1/94.vc7kFMOu9Dy8gqrWX.oDYL1",
  bcrypt: "$2y$05$CCCCCCCCCCCCCCCCCCCCC.kCIkLSW0pP0Q4pvn51yS/CzOdXm9H.m",
};
const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

describe("basic_auth", () => {
  test.each(Object.entries(HASHES))("%s: the right password, and only that", async (_, stored) => {
    const auth = await started(basicAuth, { htpasswd: { inline: `ann:${stored}\n` } });
    for (let time = 0; time < 2; time++)
      expect(await knock(auth, basic("ann", "pässword x"))).toBe("in");
    for (const wrong of ["pässword", "pässword x ", "", stored.slice(0, -1)])
      expect(await knock(auth, basic("ann", wrong))).toBe("user name or password is wrong");
    expect(await knock(auth, basic("bob", "pässword x"))).toBe("user name or password is wrong");
  });

  test.each([
    [
      "$6$ab$4.b/buEmXWpJZHUY8ZnYbmrUc0v4XgGZT6WpqUbICJxv2ydGq2TWFvQg3eJAd072jqRY5KbsfoEPMOWiQVuvz/",
    ],
    ["$5$ab$7jBT9h0SJsFH8tIHoeBz6puwHN4wD4L821Z/QPz4.p9"],
    ["$apr1$ab$LCK328T1B/jOhlNdyQP5N1"],
    ["$2y$05$CCCCCCCCCCCCCCCCCCCCC.4eQhVFG83RE7Ujg6.w.JlWjHZKEWAHC"],
  ])("a password of a hundred characters: %s", async (stored) => {
    const auth = await started(basicAuth, { htpasswd: { inline: `ann:${stored}` } });
    expect(await knock(auth, basic("ann", "y".repeat(100)))).toBe("in");
    expect(await knock(auth, basic("ann", "y".repeat(70)))).not.toBe("in");
  });

  test("headers that are not Basic, not base 64 or hold no pair", async () => {
    const auth = await started(basicAuth, { htpasswd: { inline: "ann:x" } });
    expect(await knock(auth)).toContain("is missing");
    expect(await knock(auth, "Bearer x")).toContain("is not Basic");
    expect(await knock(auth, "Basic !!!")).toContain("is not Basic");
    expect(await knock(auth, `Basic ${Buffer.from("ann").toString("base64")}`)).toContain(
      "no user",
    );
    expect(await knock(auth, basic("ann", "x").replace("Basic", "bASIC"))).toBe("in");
    expect(await auth.server?.check(() => undefined)).toMatchObject({
      challenge: 'Basic realm="weir", charset="UTF-8"',
    });
  });

  test("a slow hash is computed once for all requests that wait for it, and at most 64 logins wait", async () => {
    const auth = await started(basicAuth, {
      htpasswd: { inline: `ann:${HASHES.bcrypt}`, file: undefined },
    });
    const right = Array.from({ length: 200 }, () => knock(auth, basic("ann", "pässword x")));
    expect(new Set(await Promise.all(right))).toEqual(new Set(["in"]));
    expect(
      auth.server?.check(() => basic("ann", "pässword x")),
      "at once",
    ).toBeUndefined();
    const guesses = await Promise.all(
      Array.from({ length: 70 }, (_, i) => knock(auth, basic("ann", `guess ${i}`))),
    );
    expect(guesses.filter((why) => why.includes("too many logins"))).toHaveLength(6);
    expect(guesses.filter((why) => why.includes("is wrong"))).toHaveLength(64);
  });

  test("an unknown name takes as long as a wrong password, and is never let in by the password of another", async () => {
    const auth = await started(basicAuth, { htpasswd: { inline: `ann:${HASHES.bcrypt}` } });
    // Both wait in the same queue of slow hashes: none is answered at once.
    for (const user of ["ann", "bob", ""])
      expect(
        auth.server?.check(() => basic(user, "guess")),
        user,
      ).toBeInstanceOf(Promise);
    expect(await knock(auth, basic("bob", "pässword x"))).toBe("user name or password is wrong");
    expect(await knock(auth, basic("ann", "pässword x"))).toBe("in");
  });

  test("file and inline together: inline wins; a changed file holds, and what was right before is forgotten", async () => {
    const file = join(directory(), "htpasswd");
    writeFileSync(file, `# users\nann:${HASHES.apr1}\nbob:one\n`);
    const auth = await started(basicAuth, {
      htpasswd: { file, inline: "bob:two", reload_interval: "10ms" },
    });
    expect(await knock(auth, basic("ann", "pässword x"))).toBe("in");
    expect([
      await knock(auth, basic("bob", "one")),
      await knock(auth, basic("bob", "two")),
    ]).toEqual(["user name or password is wrong", "in"]);
    const before = log.lines.length;
    writeFileSync(file, "carl:three\n");
    await until(() => log.lines.length > before);
    expect(await knock(auth, basic("carl", "three"))).toBe("in");
    expect(await knock(auth, basic("ann", "pässword x"))).toBe("user name or password is wrong");
    writeFileSync(file, "no colon");
    await until(() => log.lines.slice(before).some(({ level }) => level === "warn"));
    expect(await knock(auth, basic("carl", "three"))).toBe("in");
  });

  test("exporters send name and password, also from files", async () => {
    const password_file = join(directory(), "password");
    writeFileSync(password_file, "w:ord\n");
    const auth = await started(basicAuth, { client_auth: { username: "ann", password_file } });
    expect(auth.client?.headers()).toEqual(["authorization", basic("ann", "w:ord")]);
    expect(auth.server).toBeUndefined();
    const options = basicAuth.schema.parse({ htpasswd: { inline: "ann:x" } });
    expect(basicAuth.authenticates?.(options)).toEqual({ receivers: true, exporters: false });
  });

  test("what is wrong is said at its option, by line, without what stands there", () => {
    const inline = (text: string) => problems(basicAuth, { htpasswd: { inline: text } });
    expect(problems(basicAuth, {})).toContain("set htpasswd (for receivers) or client_auth");
    expect(inline("")).toContain("no users");
    expect(inline("a:b\nsecret-word")).toBe("htpasswd.inline: line 2 is not user:password");
    expect(inline("a:$2y$15$CCCCCCCCCCCCCCCCCCCCC.kCIkLSW0pP0Q4pvn51yS/CzOdXm9H.m")).toContain(
      "4 to 14",
    );
    expect(inline("a:$2y$05$short")).toContain("not whole");
    expect(inline("a:$6$rounds=9999999$ab$abc")).toContain("take too long");
    expect(inline("a:$y$j9T$abc")).toContain("not known");
    expect(inline("a:{MD4}abc")).toContain("not known");
    expect(inline("a:{SSHA}abc")).toContain("not whole");
    expect(problems(basicAuth, { htpasswd: { file: "/no/such" } })).toMatch(
      /^htpasswd.file: cannot/,
    );
    expect(problems(basicAuth, { client_auth: {} })).toContain("set username or username_file");
    expect(problems(basicAuth, { client_auth: { username: "a:b" } })).toContain("colon");
  });
});
