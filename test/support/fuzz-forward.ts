import { gzipSync, zstdCompressSync } from "node:zlib";
import { createBudget } from "../../src/kit/budget.ts";
import { UNKNOWN_LEASE_BYTES } from "../../src/kit/server/growing-body.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { isRefusal } from "../../src/otlp/status.ts";
import { unpacked } from "../../src/receivers/fluent_forward/compressed.ts";
import { config } from "../../src/receivers/fluent_forward/config.ts";
import { MessageRecords, Tags } from "../../src/receivers/fluent_forward/entries.ts";
import { Fault } from "../../src/receivers/fluent_forward/fault.ts";
import { framesOf, isJsonStream } from "../../src/receivers/fluent_forward/frames.ts";
import { Security } from "../../src/receivers/fluent_forward/handshake.ts";
import { Inbox } from "../../src/receivers/fluent_forward/inbox.ts";
import { readJsonMessage } from "../../src/receivers/fluent_forward/json-message.ts";
import type { Message } from "../../src/receivers/fluent_forward/message.ts";
import { MsgpackMessages } from "../../src/receivers/fluent_forward/msgpack-message.ts";
import { Partials } from "../../src/receivers/fluent_forward/partials.ts";
import { RecordDoor } from "../../src/series/records/record-door.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { anyObject, jsonOf, msgpackOf } from "../series/records/nodes.ts";
import { expectText } from "./otlp-text.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/**
 * Child process: connections of several messages of all modes, most of them damaged, `rounds` times. Each ends; what is taken is fit for the
 * pipelines and does not depend on how the bytes are cut into reads; without damage all is taken; nothing that was leased stays so.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const budget = createBudget(64 << 20);
const indexer = createIndexer();
const door = new RecordDoor();
door.arrive(1_800_000_000_000);
const LIMIT = 1 << 16;
const reader = new MsgpackMessages();
const handshake = new Security(config.parse({ shared_key: "k" })).begin();

const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Uint8Array.of(0xd9, bytes.length), bytes]);
};
const bin = (bytes: Uint8Array) => {
  const head = Buffer.alloc(5, 0xc6);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};
const TIME = [Uint8Array.of(7), Uint8Array.of(0xc0), Buffer.from("d70065a509280000000a", "hex")];
const time = () => TIME[random(TIME.length)] as Uint8Array;
const record = () => msgpackOf(anyObject(random));
const entry = () => {
  const at =
    random(3) === 0 ? Buffer.concat([Uint8Array.of(0x92), time(), Uint8Array.of(0x80)]) : time();
  return Buffer.concat([Uint8Array.of(0x92), at, record()]);
};
const part = (last: boolean) =>
  Buffer.concat([
    Uint8Array.of(0x94, 0xa1, 0x74, 7, 0x84),
    ...[text("log"), text("part"), text("partial_id"), text("x")],
    ...[text("partial_ordinal"), text(last ? "2" : "1"), text("partial_last"), text(String(last))],
    Uint8Array.of(0x80),
  ]);
const options = (...pairs: readonly Uint8Array[]) =>
  Buffer.concat([Uint8Array.of(0x80 | (pairs.length / 2)), ...pairs]);
const chunk = () => [text("chunk"), text("abc")] as const;

/** A message of one mode, and how many records it has. */
function messageOf(mode: number): readonly [bytes: Uint8Array, records: number] {
  const count = random(4);
  const entries = Array.from({ length: count }, entry);
  const head = (length: number) => Buffer.from([0x90 | length, 0xa1, 0x74]);
  switch (mode) {
    case 0:
      return [Buffer.concat([head(3), time(), record()]), 1];
    case 1:
      return [
        Buffer.concat([head(3), Uint8Array.of(0x90 | count), ...entries, options(...chunk())]),
        count,
      ];
    case 2:
      return [Buffer.concat([head(2), bin(Buffer.concat(entries))]), count];
    case 3: {
      const packed = random(2) === 0 ? gzipSync : zstdCompressSync;
      const coding = packed === gzipSync ? "gzip" : "zstd";
      const bytes = Buffer.concat([packed(Buffer.concat(entries)), packed(entry())]);
      return [
        Buffer.concat([head(3), bin(bytes), options(text("compressed"), text(coding), ...chunk())]),
        count + 1,
      ];
    }
    case 4:
      return [Uint8Array.of(0xc0), 0];
    case 5:
      return [Buffer.concat([part(false), part(true)]), 1];
    default:
      return [
        Buffer.concat([
          head(3),
          bin(Buffer.from("cm")),
          options(text("fluent_signal"), Uint8Array.of(1)),
        ]),
        0,
      ];
  }
}

function jsonMessage(): readonly [bytes: Uint8Array, records: number] {
  const one = () => `${random(9)},${jsonOf(anyObject(random))}`;
  const count = 1 + random(3);
  return random(2) === 0
    ? [Buffer.from(`["t",${one()},{"chunk":"a"}]\n`), 1]
    : [Buffer.from(`["t",[${Array.from({ length: count }, () => `[${one()}]`).join()}]] `), count];
}

/** What a connection that sends these bytes in such parts leaves: records and bad ones, acknowledgements, how it ended. */
async function connection(content: Uint8Array, most: number): Promise<string> {
  const isJson = isJsonStream(content[0] ?? 0);
  const partials = new Partials((bytes) => budget.take(bytes));
  const messages: Message[] = [];
  let end = "";
  let inbox = fresh(isJson);
  try {
    for (let at = 0; at < content.length; ) {
      const size = 1 + random(most);
      if (!inbox.add(content.subarray(at, at + size))) throw new Error("no room");
      at += size;
      for (let place = inbox.next(); place !== undefined; place = inbox.next()) {
        const { from, to } = place;
        const message = isJson
          ? readJsonMessage(inbox.bytes, from, to)
          : reader.read(inbox.bytes, inbox.view, from, to);
        messages.push(...partials.take(message, inbox.view, 0).map(kept));
      }
      if (!inbox.isPassed) continue;
      const rest = inbox.rest();
      inbox[Symbol.dispose]();
      inbox = fresh(isJson);
      inbox.add(rest);
    }
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    end = reason.message;
  }
  inbox[Symbol.dispose]();
  messages.push(...partials.late());
  partials.release();
  const result = await taken(messages);
  if (budget.used !== 0) throw new Error(`${budget.used} bytes are still leased`);
  return `${result} ${messages.filter(({ ack }) => ack !== undefined).length} ${end}`;
}

function fresh(isJson: boolean): Inbox {
  return new Inbox(budget.take(UNKNOWN_LEASE_BYTES), LIMIT, framesOf(isJson), 0);
}

/** A message that stays when its inbox is gone. */
function kept(message: Message): Message {
  return { ...message, bytes: Uint8Array.from(message.bytes) };
}

async function taken(messages: readonly Message[]): Promise<string> {
  using lease = budget.take(0);
  if (lease === undefined) throw new Error("no lease");
  const plain: Message[] = [];
  for (const message of messages) {
    const found = await unpacked(message, LIMIT, lease);
    if (isRefusal(found)) throw new Error(found.why);
    plain.push(found);
  }
  const source = new MessageRecords(plain, new Tags());
  for (let steps = 0; source.fill(door, 1 + random(1 << 10)); steps++)
    if (steps > 1e6) throw new Error("it does not end");
  const { bytes, length, items } = door.finish();
  expectText("logs", bytes.subarray(0, length));
  const indexed = indexer.index("logs", bytes, length);
  if ("refused" in indexed || indexed.rejected > 0 || indexed.batch.items !== items)
    throw new Error("not fit for the pipelines");
  return `${items} ${source.bad}`;
}

for (let round = 0; round < rounds; round++) {
  const isJson = random(5) === 0;
  const sent = Array.from({ length: 1 + random(5) }, () =>
    isJson ? jsonMessage() : messageOf(random(7)),
  );
  const good = Buffer.concat(sent.map(([bytes]) => bytes));
  const records = sent.reduce((sum, [, count]) => sum + count, 0);
  const told = (content: Uint8Array) => Buffer.from(content).toString("base64");
  const result = await connection(good, 1 + random(100));
  if (!result.startsWith(`${records} 0 `) || !/\d $/.test(result))
    throw new Error(`${result}, not ${records}: ${told(good)}`);
  const damaged = damagedCopy(good, random);
  const content = random(4) === 0 ? damaged.subarray(0, random(damaged.length + 1)) : damaged;
  const [whole, parts] = [
    await connection(content, LIMIT),
    await connection(content, 1 + random(20)),
  ];
  if (whole !== parts) throw new Error(`${whole}, not ${parts}: ${told(content)}`);
  const roomy = withSlack(Uint8Array.from(content));
  const view = new DataView(roomy.buffer);
  handshake.answer(roomy, view, 0, content.length);
}
process.stdout.write(`${rounds} rounds\n`);
