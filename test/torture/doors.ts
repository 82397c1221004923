import { setTimeout as sleep } from "node:timers/promises";
import { isBalanced } from "../support/service.ts";
import { ShippedService } from "../support/shipped-config.ts";
import { delivered, storeRows } from "../support/store-rows.ts";
import { until } from "../support/until.ts";
import { DOOR_KINDS, RepeatingSender } from "./door-senders.ts";

/** What became of the records of one sender. */
export interface DoorTotal {
  readonly door: string;
  readonly sender: string;
  /** Records. */
  readonly acknowledged: number;
  /** Tries of a chunk that had no answer, and were repeated. */
  readonly repeated: number;
  /** Rows. */
  readonly stored: number;
  readonly lost: number;
  readonly twice: number;
}

export interface DoorsTotal {
  readonly doors: readonly DoorTotal[];
  readonly kills: number;
  /** Records that were in the journal when they came again: what was killed between receipt and acknowledgement. */
  readonly unacknowledged: number;
  readonly isBalanced: boolean;
  readonly log: string;
}

/** All doors are open, each has a sender that wants an acknowledgement, and the service is killed so many times while they send. */
export async function killedAtDoors(kills: number): Promise<DoorsTotal> {
  await using weir = await ShippedService.start("test/support/all-doors.yaml");
  const { service } = weir;
  const senders = DOOR_KINDS.map((kind) => new RepeatingSender(kind, weir.port(kind.port)));
  let trouble: unknown;
  try {
    for (let kill = 0; kill < kills; kill++) {
      await onTheirWay(senders);
      await sleep((kill * 37) % 250);
      await service.kill("SIGKILL");
      await service.start();
    }
    await onTheirWay(senders);
  } catch (error) {
    trouble = error;
  }
  const ended = await Promise.allSettled(senders.map((sender) => sender.stop()));
  trouble ??= ended.find((end) => end.status === "rejected")?.reason;
  if (trouble !== undefined) throw new Error(`${trouble}\n${service.log}`);
  await delivered(service);
  const doors: DoorTotal[] = [];
  for (const sender of senders) doors.push(await totalOf(sender, weir.port(8181)));
  const laws = await service.law();
  const appended = laws.reduce((sum, law) => sum + law.appended, 0);
  const acknowledged = doors.reduce((sum, door) => sum + door.acknowledged, 0);
  return {
    ...{ doors, kills, unacknowledged: appended - acknowledged },
    isBalanced: laws.length > 0 && laws.every(isBalanced),
    log: service.log,
  };
}

/** Resolves when each of them got one more acknowledgement. */
async function onTheirWay(senders: readonly RepeatingSender[]): Promise<void> {
  const before = senders.map(({ acknowledged }) => acknowledged);
  await until(() => senders.every(({ acknowledged }, i) => acknowledged > (before[i] ?? 0)));
}

async function totalOf(sender: RepeatingSender, store: number): Promise<DoorTotal> {
  const { kind, acknowledged, repeated } = sender;
  const rows = await storeRows(store, kind.rows);
  const times = new Map(rows.map(({ chunk, n }) => [Number(chunk), Number(n)]));
  let [stored, lost, twice] = [0, 0, 0];
  for (const n of times.values()) {
    stored += n;
    twice += Math.max(0, n - kind.records);
  }
  for (let chunk = 0; chunk < acknowledged; chunk++)
    lost += Math.max(0, kind.records - (times.get(chunk) ?? 0));
  const { door, sender: name, records } = kind;
  const counts = { acknowledged: acknowledged * records, repeated, stored, lost, twice };
  return { door, sender: name, ...counts };
}

/** What is wrong: nothing, when all that was acknowledged is there once. */
export function verdictOf({ doors, kills, isBalanced: balances }: DoorsTotal): string[] {
  const problems = doors.flatMap(
    ({ door, sender, acknowledged, stored, lost, twice, repeated }) => {
      const where = `${door}, ${sender}`;
      const own: string[] = [];
      if (lost > 0) own.push(`${where}: ${lost} acknowledged records are lost`);
      if (twice > 0) own.push(`${where}: ${twice} rows are there twice`);
      if (stored !== acknowledged)
        own.push(`${where}: ${acknowledged} records were acknowledged, ${stored} rows are there`);
      if (acknowledged === 0) own.push(`${where}: nothing was acknowledged`);
      if (kills > 0 && repeated === 0) own.push(`${where}: no kill met it`);
      return own;
    },
  );
  return balances ? problems : [...problems, "the law does not balance at the end"];
}
