import fc from "fast-check";
import { ROUTE_INPUTS } from "../../src/series/request-route.ts";

/** Names of attributes that the requests of `any-logs` and `any-spans` have too. */
const NAMES = [
  ...ROUTE_INPUTS.flat(),
  "status",
  "execution_id",
  "duration_ms",
  "exit_code",
  "service.name",
  "k",
  "k2",
  "other_cost",
  "some_time_iso",
  "http.response.status_code",
  "error.type",
  "exception.message",
  "trace_id",
  "run_cost",
  "message",
];
const name = fc.constantFrom(...NAMES);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 3 });
const KINDS = ["tag", "float", "integer", "boolean", "text"] as const;
type Kind = (typeof KINDS)[number];
const isText = (kind: Kind) => kind === "tag" || kind === "text";
const COLUMNS = ["c0", "c1", "c2", "c3", "c4", "status", "k", "exit_code"] as const;
const word = fc.constantFrom("OK", "404", "GET", "a", "http", "timer", "ÄÖ É", "x,y");
/** Members that are undefined are left out. */
const some = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined, freq: 3 });

function source(kind: Kind) {
  const attribute = fc.record({
    attribute: name,
    place: some(fc.constantFrom("both", "record", "resource", "resource_first")),
    divide_by: kind === "float" ? some(fc.constantFrom(10, 1e6, 0.5)) : fc.constant(undefined),
    form: kind === "tag" ? some(fc.constant("method_path")) : fc.constant(undefined),
    first_of_list: some(fc.boolean()),
    spans_only: some(fc.boolean()),
  });
  return fc.oneof(
    { arbitrary: name, weight: 3 },
    { arbitrary: attribute, weight: 2 },
    fc.constant({ record: "scope_name" }),
    fc
      .constantFrom("body", "severity_text", "severity_number", "event_name")
      .map((log) => ({ log })),
    fc
      .constantFrom("name", "kind", "status", "status_message", "parent_span_id", "trace_state")
      .map((span) => ({ span })),
    fc
      .constantFrom(
        "duration_ms",
        "duration_s",
        "duration_whole_ms",
        kind === "float" ? "name" : "duration_ns",
      )
      .map((span) => ({ span })),
    name.map((exception_event) => ({ exception_event })),
  );
}

const one = (columns: readonly string[]) => {
  const column = fc.constantFrom(...columns);
  const number = fc.constantFrom(-1, 0, 200, 404);
  return fc.oneof(
    fc.tuple(column, fc.constantFrom("is", "is_not", "at_least"), number).map(([c, test, n]) => ({
      column: c,
      [test]: n,
    })),
    fc.record({ column, is_none_of: fc.array(word, { minLength: 1, maxLength: 2 }) }),
    fc.record({ attributes: names, contain: fc.array(word, { minLength: 1, maxLength: 2 }) }),
    fc.record({ attributes: names, equal: fc.array(word, { minLength: 1, maxLength: 2 }) }),
    names.map((has_one_of) => ({ has_one_of })),
    names.map((has_none_of) => ({ has_none_of })),
    fc
      .constantFrom("exception.", "k", "http.")
      .map((has_attribute_prefix) => ({ has_attribute_prefix })),
    fc.constantFrom(1, 9, 17).map((severity_at_least) => ({ severity_at_least })),
    fc.constantFrom("unset", "ok", "error").map((span_status) => ({ span_status })),
  );
};
const condition = (columns: readonly string[]) =>
  fc.oneof(one(columns), fc.array(one(columns), { minLength: 1, maxLength: 2 }));

function rule(own: string, kind: Kind, kinds: ReadonlyMap<string, Kind>) {
  const columns = [...kinds.keys()];
  const more = { when: some(condition(columns)), spans_only: some(fc.boolean()) };
  const integers = columns.filter((c) => kinds.get(c) === "integer" && c !== own);
  const others = columns.filter((c) => c !== own);
  const rules: fc.Arbitrary<object>[] = [];
  if (isText(kind)) {
    rules.push(
      fc.record({ value: word, ...more }),
      fc.record({ derive: fc.constant("request_route"), ...more }),
    );
    if (others.length > 0) {
      const of = {
        column: fc.constantFrom(...others),
        before_last: some(fc.constantFrom("_", "/", ".")),
        words: some(fc.dictionary(word, word, { maxKeys: 2 })),
        rest: some(word),
      };
      rules.push(fc.record({ ...of, ...more }), fc.record({ ...of, lines: fc.constant(true) }));
    }
  } else if (kind === "boolean") rules.push(fc.record({ value: fc.boolean(), ...more }));
  else rules.push(fc.record({ value: fc.integer({ min: -5, max: 1e9 }), ...more }));
  if (kind === "integer" && integers.length > 0)
    rules.push(
      fc.record({ sum: fc.uniqueArray(fc.constantFrom(...integers), { minLength: 1 }), ...more }),
    );
  return fc.oneof(...rules);
}

function column(own: string, kinds: ReadonlyMap<string, Kind>) {
  const kind = kinds.get(own) as Kind;
  const words = fc.dictionary(fc.constantFrom("ok", "404", "get"), word, { maxKeys: 2 });
  const none = fc.constant(undefined);
  return fc.record({
    kind: fc.constant(kind),
    doc: fc.constant("d"),
    from: fc.array(source(kind), { maxLength: 3 }),
    lower_case: isText(kind) ? some(fc.boolean()) : none,
    words: isText(kind) ? some(words) : none,
    otherwise: some(fc.array(rule(own, kind, kinds), { minLength: 1, maxLength: 2 })),
  });
}

function table(measurement: string, kinds: ReadonlyMap<string, Kind>) {
  const columns = [...kinds.keys()];
  const oneOfEach = fc.array(names, { maxLength: 2 });
  const extra = fc.uniqueArray(fc.constantFrom("k2", "http.method", "other", "custom.attr.1"), {
    maxLength: 2,
  });
  const texts = columns.filter((c) => kinds.get(c) === "text");
  const spans = fc.record({
    record_has_one_of_each: some(oneOfEach),
    kind: some(fc.subarray(["server", "client", "internal", "unspecified"])),
    or_no_parent: some(fc.boolean()),
    also_matches: some(fc.constantFrom("requests", "spans")),
    and_one_of: some(fc.array(condition(columns), { minLength: 1, maxLength: 2 })),
  });
  return fc.record({
    measurement: fc.constant(measurement),
    doc: fc.constant("d"),
    identity: fc.constantFrom("exact", "spread"),
    match: fc.record({
      logs: some(fc.record({ record_has_one_of_each: oneOfEach })),
      spans: some(spans),
    }),
    columns: fc.record(Object.fromEntries(columns.map((c) => [c, column(c, kinds)]))),
    required: some(fc.subarray(columns)),
    extra_tags: some(extra.map((all) => all.slice(0, 1))),
    extra_fields: some(fc.constantFrom(["*_cost"], ["*_time_iso", "zz"])),
    attributes: fc.constant(true),
    resource_attributes: some(
      fc.constantFrom({ prefix: "r." }, { prefix: "r.", except: ["service."] }),
    ),
    ids: some(fc.boolean()),
    empty_field: texts.length > 0 ? some(fc.constantFrom(...texts)) : fc.constant(undefined),
  });
}

/** Table files that load, as JSON (which is YAML): each is one of `prefix0`, `prefix1`, … */
export const anyTables = fc
  .array(
    fc.uniqueArray(fc.constantFrom(...COLUMNS), { minLength: 1, maxLength: 5 }).chain((columns) =>
      fc
        .array(fc.constantFrom(...KINDS), {
          minLength: columns.length,
          maxLength: columns.length,
        })
        .map(
          (kinds) =>
            new Map<string, Kind>([
              ...columns.map((c, i) => [c, kinds[i] as Kind] as const),
              ["f", "text"],
            ]),
        ),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .chain((all) => fc.tuple(...all.map((kinds, i) => table(`own${i}`, kinds))))
  .map((all) => all.map((one, i) => ({ name: `own${i}.yaml`, text: JSON.stringify(one) })));
