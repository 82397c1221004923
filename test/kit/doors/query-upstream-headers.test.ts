import { expect, test } from "vitest";
import { passedHeaders } from "../../../src/kit/doors/query-upstream-headers.ts";
import { leastCpuMs } from "../../support/cpu.ts";

test("headers of the connection stay, also those that it names, however they are parted", () => {
  const given = { connection: " X-One ,x-two,, close", "x-one": "1", "x-two": "2", "x-three": "3" };
  expect(passedHeaders(given)).toEqual({ "x-three": "3" });
});

test("white space in the list of them costs as much as its bytes", async () => {
  const connection = `a${" ".repeat(200_000)}b`;
  // It was the square of them: half a minute.
  expect(await leastCpuMs(() => passedHeaders({ connection }))).toBeLessThan(200);
});
