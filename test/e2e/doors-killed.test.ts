import { expect, test } from "vitest";
import { killedAtDoors, verdictOf } from "../torture/doors.ts";

/** A short run of `npm run torture -- --doors`. WEIR_KILLS=50 for more. */
const { WEIR_KILLS = "2" } = process.env;

test("killed while it takes chunks at every door: all that was acknowledged is there, and nothing twice", async () => {
  const total = await killedAtDoors(Number(WEIR_KILLS));
  expect(verdictOf(total), total.log).toEqual([]);
}, 600_000);
