import { expect, test } from "vitest";
import { LitterCollector, MemoryKeeper } from "../../src/service/memory.ts";

const MIB = 1 << 20;

test("memory is given back once after a burst, when the service is idle again", () => {
  let resident = 100 * MIB;
  let busy = 0;
  let collections = 0;
  using keeper = new MemoryKeeper({
    residentBytes: () => resident,
    busyShare: () => busy,
    collect() {
      collections++;
    },
  });
  keeper.look();
  resident = 150 * MIB;
  keeper.look();
  expect(collections, "not much to collect").toBe(0);
  resident = 700 * MIB;
  busy = 0.5;
  keeper.look();
  expect(collections, "busy").toBe(0);
  busy = 0.01;
  keeper.look();
  expect(collections).toBe(1);
  resident = 130 * MIB;
  keeper.look();
  resident = 190 * MIB;
  keeper.look();
  expect(collections, "what stays is in use").toBe(1);
  resident = 195 * MIB;
  keeper.look();
  expect(collections).toBe(2);
});

test("what answered requests leave behind is collected after every 24 MiB of them", () => {
  let collections = 0;
  const litter = new LitterCollector(() => collections++);
  for (let i = 0; i < 23; i++) litter.took(MIB);
  expect(collections).toBe(0);
  litter.took(MIB);
  expect(collections).toBe(1);
  litter.took(23 * MIB);
  expect(collections).toBe(1);
  litter.took(100 * MIB);
  expect(collections, "one large request is looked for once").toBe(2);
});
