import fc from "fast-check";
import { anyAttributes, odd, text, time } from "./any-logs.ts";

const START = 1705314600123456789n;
/** Ends with round and odd durations, before the start, and as far away as the format allows. */
const end = fc.oneof(
  fc
    .oneof(
      fc.bigInt({ min: -5n, max: 5_000_000_000n }),
      fc.bigInt({ min: 0n, max: 5_000n }).map((ms) => ms * 1_000_000n),
      fc.bigInt({ min: 0n, max: 20_000_000_000_000_000n }),
    )
    .map((nanos) => String(START + nanos)),
  time,
);
const id = (bytes: number) => fc.constantFrom("", "0".repeat(2 * bytes), "ab".repeat(bytes));
const event = fc.record({
  timeUnixNano: time,
  name: fc.oneof(fc.constantFrom("exception", "log", ""), odd),
  attributes: anyAttributes(4),
});
const link = fc.record({ traceId: id(16), spanId: id(8), attributes: anyAttributes(2) });
const name = fc.oneof(
  text,
  fc.constantFrom("GET /a/b", "POST /x?y=1", "get /a", "GET", "acme.Users/Get", "/acme.Users/Get"),
);
const span = fc.record({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: id(8),
  traceState: fc.constantFrom("", 'vendor=1,x="2"'),
  name,
  kind: fc.constantFrom(0, 1, 2, 2, 2, 3, 4, 5, 7),
  startTimeUnixNano: fc.oneof(fc.constant(String(START)), time),
  endTimeUnixNano: end,
  attributes: anyAttributes(9),
  events: fc.array(event, { maxLength: 2 }),
  links: fc.array(link, { maxLength: 2 }),
  status: fc.record({ code: fc.constantFrom(0, 1, 2, 3), message: text }),
});
/** Any request of spans as OTLP/JSON, with attributes that mean something to the shipped tables. */
export const anySpans = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.record({ attributes: anyAttributes(4) }),
      scopeSpans: fc.array(
        fc.record({
          scope: fc.record({ name: fc.constantFrom("", "http") }),
          spans: fc.array(span, { minLength: 1, maxLength: 4 }),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
});
