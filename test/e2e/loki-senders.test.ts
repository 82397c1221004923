import { afterAll, beforeAll, expect, test } from "vitest";
import {
  answersAsDocumented,
  documentedCommands,
  ShippedService,
} from "../support/shipped-config.ts";

/** docs/from/loki.md and config/loki.yaml, as they stand. */
const COMMANDS = await documentedCommands("docs/from/loki.md");

let loki: ShippedService;
beforeAll(async () => {
  loki = await ShippedService.start("config/loki.yaml");
});
afterAll(() => loki[Symbol.asyncDispose]());

test("the page has commands", () => {
  expect(COMMANDS.length).toBeGreaterThanOrEqual(5);
});

test.each(COMMANDS.map((documented, i) => [i + 1, documented] as const))(
  "command %i of the page answers what the page says",
  async (_number, documented) => {
    expect(await answersAsDocumented(loki, documented)).toBe("");
  },
);
