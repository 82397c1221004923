import fc from "fast-check";
import { expect, test } from "vitest";
import { mixedLogs, plainLogs } from "../../bench/payloads.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import type { Attributes, AttributeValue } from "../../src/otlp/draft.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { pickItems } from "../../src/otlp/pick.ts";
import { Kind, type Signal } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest, type Json } from "../support/otlp.ts";
import { arbitraryRequest } from "./requests.ts";
import { viewBatch, viewRequest } from "./views.ts";

const indexer = createIndexer();
const { keys } = indexer;

function batchOf<S extends Signal>(signal: S, bytes: Uint8Array): Batch<S> {
  const result = indexer.index(signal, bytes, bytes.length);
  if ("refused" in result) throw new Error(result.why);
  return result.batch;
}

/** Indexing the sealed bytes gives the sealed tape. */
function expectTape(batch: Batch): void {
  const again = batchOf(batch.signal, batch.bytes.slice(0, batch.length));
  expect(again.length).toBe(batch.length);
  expect(Array.from(batch.tape)).toEqual(Array.from(again.tape));
  expect(batch.items).toBe(again.items);
}

type Edit =
  | { readonly do: "set"; readonly key: string; readonly value: AttributeValue }
  | { readonly do: "rename" | "copy"; readonly key: string; readonly to: string }
  | { readonly do: "delete"; readonly key: string };

const key = fc.constantFrom("service.name", "a", "", "status", "über", "new", "n".repeat(200));
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({
    do: fc.constant("set" as const),
    key,
    value: fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.double(),
      fc.boolean(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.uint8Array({ maxLength: 9 }),
    ),
  }),
  fc.record({ do: fc.constantFrom("rename" as const, "copy" as const), key, to: key }),
  fc.record({ do: fc.constant("delete" as const), key }),
);

function applyToDraft(attributes: Attributes, edits: readonly Edit[], ids = keys): void {
  for (const one of edits) {
    const slot = attributes.attribute(ids.id(one.key));
    if (one.do === "set") attributes.set(ids.id(one.key), one.value);
    else if (slot < 0) continue;
    else if (one.do === "delete") attributes.delete(slot);
    else if (one.do === "rename") attributes.rename(slot, ids.id(one.to));
    else attributes.copy(slot, ids.id(one.to));
  }
}

type Pair = { key: string; value?: Json };

function applyToObject(owner: Json, edits: readonly Edit[]): void {
  let list = (owner["attributes"] ?? []) as Pair[];
  for (const one of edits) {
    const found = list.findLast((pair) => pair.key === one.key);
    if (one.do === "set") put(list, one.key, wrap(one.value));
    else if (found === undefined) continue;
    else if (one.do === "delete") list = list.filter((pair) => pair !== found);
    else if (one.do === "copy") put(list, one.to, found.value ?? {});
    else if (one.to !== one.key) {
      list = list.filter((pair) => pair === found || pair.key !== one.to);
      found.key = one.to;
    }
  }
  owner["attributes"] = list;
}

function put(list: Pair[], name: string, value: Json): void {
  const found = list.findLast((pair) => pair.key === name);
  if (found === undefined) list.push({ key: name, value });
  else found.value = value;
}

function wrap(value: AttributeValue): Json {
  if (typeof value === "string") return { stringValue: value.toWellFormed() };
  if (typeof value === "number") return { doubleValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "bigint") return { intValue: String(value) };
  return { bytesValue: Buffer.from(value).toString("base64") };
}

/** Items with what holds them, outermost first; lists are what they are removed from. */
function* itemsOf(request: Json): Generator<{ item: Json; list: Json[]; resource: Json }> {
  for (const outer of lists(request, "resourceLogs", "resourceSpans", "resourceMetrics"))
    for (const scoped of lists(outer, "scopeLogs", "scopeSpans", "scopeMetrics")) {
      const resource = (outer["resource"] ?? {}) as Json;
      const holders = [scoped];
      for (const metric of lists(scoped, "metrics"))
        for (const data of ["gauge", "sum", "histogram", "exponentialHistogram", "summary"])
          if (metric[data] !== undefined) holders.push(metric[data] as Json);
      for (const holder of holders)
        for (const name of ["logRecords", "spans", "dataPoints"])
          for (const item of [...((holder[name] ?? []) as Json[])])
            yield { item, list: holder[name] as Json[], resource };
    }
}

function lists(json: Json, ...names: string[]): Json[] {
  return names.flatMap((name) => (json[name] ?? []) as Json[]);
}

test("edits of a draft are the same edits of decoded objects", () => {
  const edits = fc.array(edit, { maxLength: 5 });
  fc.assert(
    fc.property(arbitraryRequest, fc.array(fc.option(edits)), edits, (made, byItem, onResource) => {
      const { signal, request } = made;
      const batch = batchOf(signal, encodeRequest(signal, request));
      const expected = decodeRequest(signal, batch.bytes.subarray(0, batch.length));
      const draft = batch.draft();
      let dropped = 0;
      let n = 0;
      for (let is = draft.items.first(); is; is = draft.items.next()) {
        const edits = byItem[n++];
        if (edits === null) {
          draft.items.drop("no");
          dropped++;
        } else applyToDraft(draft.items, edits ?? []);
      }
      for (let is = draft.resources.first(); is; is = draft.resources.next())
        applyToDraft(draft.resources, onResource);
      n = 0;
      for (const outer of lists(expected, "resourceLogs", "resourceSpans", "resourceMetrics")) {
        if (lists(outer, "scopeLogs", "scopeSpans", "scopeMetrics").length === 0) continue;
        outer["resource"] ??= {};
        applyToObject(outer["resource"] as Json, onResource);
      }
      for (const { item, list } of itemsOf(expected)) {
        const edits = byItem[n++];
        if (edits === null) list.splice(list.indexOf(item), 1);
        else applyToObject(item, edits ?? []);
      }
      const sealed = draft.seal();
      expect(draft.dropped.get("no") ?? 0).toBe(dropped);
      const views = viewBatch(sealed, keys);
      expect(views).toEqual(viewRequest(expected));
      const decoded = decodeRequest(signal, sealed.bytes.subarray(0, sealed.length));
      expect(viewRequest(decoded)).toEqual(viewRequest(expected));
      expectTape(sealed);
    }),
    { numRuns: 300, seed: 5 },
  );
});

test("an untouched draft is the batch itself, and a batch never changes", () => {
  const bytes = plainLogs(3);
  const batch = batchOf("logs", bytes);
  expect(batch.draft().seal()).toBe(batch);
  const before = Buffer.from(batch.bytes).toString("hex");
  const draft = batch.draft();
  draft.items.first();
  draft.items.set(keys.id("status"), "other");
  draft.seal();
  expect(Buffer.from(batch.bytes).toString("hex")).toBe(before);
});

test("four renames rewrite every record and nothing else", () => {
  const batch = batchOf("logs", mixedLogs(200, 3));
  const pairs = ["function.id", "execution.id", "status", "duration_ms"].map(
    (name) => [keys.id(name), keys.id(`x.${name}`)] as const,
  );
  const draft = batch.draft();
  for (let is = draft.items.first(); is; is = draft.items.next())
    for (const [from, to] of pairs) {
      const slot = draft.items.attribute(from);
      if (slot >= 0) draft.items.rename(slot, to);
    }
  const sealed = draft.seal();
  expectTape(sealed);
  const expected = decodeRequest("logs", batch.bytes.subarray(0, batch.length));
  for (const { item } of itemsOf(expected))
    for (const pair of item["attributes"] as Pair[])
      if (pairs.some(([from]) => keys.name(from) === pair.key)) pair.key = `x.${pair.key}`;
  expect(decodeRequest("logs", sealed.bytes.subarray(0, sealed.length))).toEqual(expected);
});

test("built-in fields are read, never edited, and copied as attributes", () => {
  const batch = batchOf(
    "logs",
    encodeRequest("logs", {
      resourceLogs: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
          scopeLogs: [
            {
              logRecords: [
                {
                  body: { arrayValue: { values: [{ intValue: "9007199254740993" }, {}] } },
                  severityText: "WARN",
                  eventName: "paid",
                  traceId: "0af7651916cd43dd8448eb211c80319c",
                },
              ],
            },
          ],
        },
      ],
    }),
  );
  const { items } = batch.draft();
  expect(items.first()).toBe(true);
  expect(items.text(items.builtin("body"))).toBe("[9007199254740993,null]");
  expect(items.kind(items.builtin("body"))).toBe(Kind.array);
  expect(items.text(items.builtin("severity"))).toBe("WARN");
  expect(items.text(items.builtin("event_name"))).toBe("paid");
  expect(items.value(items.builtin("trace_id"))).toBe("0af7651916cd43dd8448eb211c80319c");
  expect(items.builtin("span_id")).toBe(-1);
  expect(items.builtin("name")).toBe(-1);
  expect(items.text(items.resource(keys.id("service.name")))).toBe("shop");
  items.copy(items.builtin("trace_id"), keys.id("trace"));
  items.copy(items.resource(keys.id("service.name")), keys.id("service"));
  items.delete(items.builtin("body"));
  expect(items.count).toBe(2);
  expect([0, 1].map((i) => items.name(items.slotAt(i)))).toEqual(["trace", "service"]);
  expect(items.text(items.slotAt(1))).toBe("shop");
  expect(items.slotAt(2)).toBe(-1);
  expect(items.next()).toBe(false);
});

test("picked items are a batch of their own, with their resource", () => {
  const batch = batchOf("logs", plainLogs(10));
  const picked = pickItems(indexer, batch, 3, 5);
  expect(viewBatch(picked, keys)).toEqual(viewBatch(batch, keys).slice(3, 5));
  expectTape(picked);
  expect(pickItems(indexer, batch, 0, 10)).toBe(batch);
  expect(pickItems(indexer, batch, 4, 4).items).toBe(0);
});

/** Applies edits to the items of a draft and to the decoded request, in `rounds` walks over all items. */
function editTwice(batch: Batch, edits: readonly (readonly Edit[])[], ids = keys): void {
  const expected = decodeRequest(batch.signal, batch.bytes.subarray(0, batch.length));
  const objects = [...itemsOf(expected)];
  const draft = batch.draft();
  for (const round of [0, 1]) {
    let n = 0;
    for (let is = draft.items.first(); is; is = draft.items.next()) {
      const chosen = edits[(n + round) % edits.length] ?? [];
      applyToDraft(draft.items, chosen, ids);
      applyToObject((objects[n++] as { item: Json }).item, chosen);
    }
  }
  const sealed = draft.seal();
  expect(viewBatch(sealed, ids)).toEqual(viewRequest(expected));
  if (ids === keys) expectTape(sealed);
}

const knownKey = fc.constantFrom("status", "function.id", "exit_code", "custom.attr.3", "x", "y");
const knownEdit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key: knownKey, value: fc.string() }),
  fc.record({
    do: fc.constantFrom("rename" as const, "copy" as const),
    key: knownKey,
    to: knownKey,
  }),
  fc.record({ do: fc.constant("delete" as const), key: knownKey }),
);
const someEdits = fc.array(fc.array(knownEdit, { maxLength: 4 }), { minLength: 1, maxLength: 3 });

test("many items with equal keys, others between them, edited in two walks", () => {
  const batches = [batchOf("logs", plainLogs(20)), batchOf("logs", mixedLogs(20, 1))];
  fc.assert(
    fc.property(fc.constantFrom(...batches), someEdits, (batch, edits) => editTwice(batch, edits)),
    { numRuns: 150, seed: 6 },
  );
});

test("names that have no id because the table had learned enough are found and edited by name", () => {
  const full = createIndexer();
  for (let i = 0; i < 3_500; i++) full.keys.id(`filler.${i}`);
  const bytes = mixedLogs(20, 2);
  const indexed = full.index("logs", bytes, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  expect(indexed.batch.tape).toContain(Kind.text); // the head of an entry without an id
  const { batch } = indexed;
  fc.assert(
    fc.property(someEdits, (edits) => editTwice(batch, edits, full.keys)),
    { numRuns: 60, seed: 7 },
  );
});

test("names that share a place in a cursor's memo are not taken for one another", () => {
  const crowded = createIndexer();
  for (const [i, name] of ["status", "function.id", "exit_code", "x", "y"].entries()) {
    crowded.keys.id(name);
    for (let filler = 1; filler < 256; filler++) crowded.keys.id(`filler.${i}.${filler}`);
  }
  expect(crowded.keys.id("y") % 256).toBe(crowded.keys.id("status") % 256);
  const bytes = plainLogs(20);
  const indexed = crowded.index("logs", bytes, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const { batch } = indexed;
  fc.assert(
    fc.property(someEdits, (edits) => editTwice(batch, edits, crowded.keys)),
    { numRuns: 100, seed: 8 },
  );
});

test("what was deleted before the first look-up is not found", () => {
  const { items } = batchOf("logs", plainLogs(2)).draft();
  const first = () => keys.id(items.name(items.slotAt(0)));
  items.first();
  const key = first();
  expect(items.attribute(key)).toBe(items.slotAt(0));
  items.next();
  items.delete(items.slotAt(0));
  expect(items.attribute(key)).toBe(-1);
  items.first();
  expect(items.attribute(key)).toBe(items.slotAt(0));
});

test("replace sets a value and keeps the key; built-in, deleted and absent slots stay as they are", () => {
  const batch = batchOf("logs", plainLogs(1));
  const draft = batch.draft();
  const { items } = draft;
  items.first();
  items.replace(-1, "no");
  items.replace(items.builtin("body"), "no");
  expect(draft.seal()).toBe(batch);
  const slot = items.attribute(keys.id("status"));
  items.replace(slot, "first");
  items.rename(slot, keys.id("state"));
  items.replace(slot, 5n);
  items.set(keys.id("added"), true);
  const added = items.attribute(keys.id("added"));
  items.replace(added, "instead");
  const gone = items.attribute(keys.id("exit_code"));
  items.delete(gone);
  items.replace(gone, "no");
  items.rename(gone, keys.id("no"));
  expect(items.attribute(keys.id("no"))).toBe(-1);
  const sealed = draft.seal();
  expectTape(sealed);
  const [view] = viewBatch(sealed, keys) as { attributes: unknown[] }[];
  const [before] = viewBatch(batch, keys) as { attributes: [string, string, unknown][] }[];
  const kept = before?.attributes.filter(([name]) => name !== "exit_code") ?? [];
  const expected = kept.map((one) => (one[0] === "status" ? ["state", "int", "5"] : one));
  expect(view?.attributes).toEqual([...expected, ["added", "text", "instead"]]);
});

test("a sealed draft can be edited and sealed again; the batch that it made stays", () => {
  const draft = batchOf("logs", plainLogs(3)).draft();
  draft.items.first();
  draft.items.set(keys.id("status"), "one");
  const one = draft.seal();
  const before = viewBatch(one, keys);
  draft.items.set(keys.id("status"), "two");
  const two = draft.seal();
  expectTape(two);
  expect(viewBatch(one, keys)).toEqual(before);
  expect(JSON.stringify(viewBatch(two, keys))).toBe(JSON.stringify(before).replace("one", "two"));
});

test("each item picked alone, of any signal, is as it was in its batch", () => {
  fc.assert(
    fc.property(arbitraryRequest, ({ signal, request }) => {
      const batch = batchOf(signal, encodeRequest(signal, request));
      const views = viewBatch(batch, keys);
      for (let i = 0; i < batch.items; i++) {
        const picked = pickItems(indexer, batch, i, i + 1);
        expect(viewBatch(picked, keys)).toEqual([views[i]]);
        if (batch.items > 1) expectTape(picked);
      }
    }),
    { numRuns: 60, seed: 8 },
  );
});

test("an item picked of many has memory for itself, not for the batch", () => {
  const batch = batchOf("logs", plainLogs(2_000));
  const picked = pickItems(indexer, batch, 1_000, 1_001);
  expect(picked.bytes.length).toBeLessThan(4_096);
  expect(picked.tape.buffer.byteLength).toBeLessThan(4_096);
});

test("renames that the first items do not have make the output grow", () => {
  const batch = batchOf("logs", plainLogs(500));
  const long = keys.id("l".repeat(300));
  const draft = batch.draft();
  let n = 0;
  for (let is = draft.items.first(); is; is = draft.items.next())
    if (n++ > 200) draft.items.rename(draft.items.attribute(keys.id("status")), long);
  const sealed = draft.seal();
  expectTape(sealed);
  expect(sealed.items).toBe(500);
  expect(sealed.length).toBeGreaterThan(batch.length + 299 * 294);
});

test("keepOnly counts what it drops itself, and takes bounds beyond the items", () => {
  const draft = batchOf("logs", plainLogs(10)).draft();
  draft.items.first();
  draft.items.next();
  draft.items.drop("mine");
  draft.keepOnly(-3, 4, "rest");
  expect(Object.fromEntries(draft.dropped)).toEqual({ mine: 1, rest: 6 });
  draft.keepOnly(0, 99, "nothing");
  expect(draft.dropped.has("nothing")).toBe(false);
  expect(draft.seal().items).toBe(3);
  draft.keepOnly(99, 120, "all");
  expect(draft.seal().items).toBe(0);
});
