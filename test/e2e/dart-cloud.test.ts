import { afterAll, beforeAll, expect, test } from "vitest";
import {
  answersAsDocumented,
  documentedCommands,
  ShippedService,
} from "../support/shipped-config.ts";

/** docs/from/dart-cloud.md and config/dart-cloud.yaml, as they stand. */
const COMMANDS = await documentedCommands("docs/from/dart-cloud.md");

let weir: ShippedService;
beforeAll(async () => {
  weir = await ShippedService.start("config/dart-cloud.yaml");
});
afterAll(() => weir[Symbol.asyncDispose]());

test("the page has commands", () => {
  expect(COMMANDS).toHaveLength(5);
});

test.each(COMMANDS.map((documented, i) => [i + 1, documented] as const))(
  "command %i of the page answers what the page says",
  async (_number, documented) => {
    expect(await answersAsDocumented(weir, documented)).toBe("");
  },
);
