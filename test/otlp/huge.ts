import { ProtoWriter } from "../../src/otlp/build.ts";
import type { Signal } from "../../src/otlp/tape.ts";

/** A request that is one huge item, or nearly so. */
export interface Huge {
  readonly signal: Signal;
  /** About so many bytes. */
  make(bytes: number): Uint8Array<ArrayBuffer>;
}

type Write = (out: ProtoWriter) => void;

const TIME = 1_705_314_600_000_000_000n;

/** A message whose length takes four bytes, so that closing it moves nothing. */
function message(out: ProtoWriter, tag: number, write: Write): void {
  out.open(tag, 4);
  write(out);
  out.close();
}

function pair(out: ProtoWriter, tag: number, key: string, value: string): void {
  out.open(tag);
  out.text(0x0a, key);
  out.open(0x12);
  out.text(0x0a, value);
  out.close();
  out.close();
}

/** Value before key. */
function swappedPair(out: ProtoWriter, tag: number, key: string, value: string): void {
  out.open(tag);
  out.open(0x12);
  out.text(0x0a, value);
  out.close();
  out.text(0x0a, key);
  out.close();
}

/** One resource with a service name, one scope with what `write` writes. */
function request(write: Write, resource: Write = () => {}): Uint8Array<ArrayBuffer> {
  const out = new ProtoWriter();
  message(out, 0x0a, () => {
    message(out, 0x0a, () => {
      pair(out, 0x0a, "service.name", "huge");
      resource(out);
    });
    message(out, 0x12, write);
  });
  return Uint8Array.from(out.bytes.subarray(0, out.length));
}

/** One item with what `write` writes. */
const item = (write: Write) => request((out) => message(out, 0x12, write));
const record = (write: Write) =>
  item((out) => {
    out.fixed64(0x09, TIME);
    write(out);
  });
const span = (write: Write) =>
  item((out) => {
    out.data(0x0a, new Uint8Array(16).fill(7));
    out.data(0x12, new Uint8Array(8).fill(7));
    out.text(0x2a, "huge");
    out.fixed64(0x39, TIME);
    write(out);
  });
const metric = (tag: number, write: Write) =>
  item((out) => {
    out.text(0x0a, "huge");
    message(out, tag, write);
  });

/** Writes again and again until there are so many bytes. */
function until(out: ProtoWriter, bytes: number, write: (index: number) => void): void {
  for (let index = 0; out.length < bytes; index++) write(index);
}

const point = (out: ProtoWriter, index: number) => {
  out.open(0x0a);
  out.fixed64(0x19, TIME + BigInt(index));
  out.double(0x21, index);
  pair(out, 0x3a, "series", `s${index % 1000}`);
  out.close();
};
const exponential = (write: Write) =>
  metric(0x52, (out) => {
    out.uint(0x10, 2);
    message(out, 0x0a, () => {
      out.fixed64(0x19, TIME);
      message(out, 0x42, write);
    });
  });

/** Canonical requests. */
export const HUGE: Readonly<Record<string, Huge>> = {
  "one text": {
    signal: "logs",
    make: (bytes) =>
      record((out) => message(out, 0x2a, () => out.data(0x0a, Buffer.alloc(bytes, "text ")))),
  },
  "records of 4 MiB": {
    signal: "logs",
    make: (bytes) =>
      request((out) =>
        until(out, bytes, (index) =>
          message(out, 0x12, () => {
            out.fixed64(0x09, TIME + BigInt(index));
            const text = Buffer.alloc(Math.min(bytes, 4 << 20), "text ");
            message(out, 0x2a, () => out.data(0x0a, text));
          }),
        ),
      ),
  },
  attributes: {
    signal: "logs",
    make: (bytes) =>
      record((out) => until(out, bytes, (i) => pair(out, 0x32, `key${i % 100}`, `value ${i}`))),
  },
  "attributes of different names": {
    signal: "logs",
    make: (bytes) => record((out) => until(out, bytes, (i) => pair(out, 0x32, `key${i}`, "v"))),
  },
  "a wide tree": {
    signal: "logs",
    make: (bytes) =>
      record((out) =>
        message(out, 0x2a, () =>
          message(out, 0x32, () => until(out, bytes, (i) => pair(out, 0x0a, `k${i % 50}`, `${i}`))),
        ),
      ),
  },
  "a deep tree": {
    signal: "logs",
    make: (bytes) => {
      const nest = (out: ProtoWriter, depth: number): void =>
        depth === 60
          ? until(out, bytes, () => out.data(0x0a, Buffer.from("0a0178", "hex")))
          : message(out, 0x0a, () => message(out, 0x2a, () => nest(out, depth + 1)));
      return record((out) => message(out, 0x2a, () => message(out, 0x2a, () => nest(out, 1))));
    },
  },
  "unknown fields in an attribute": {
    signal: "logs",
    make: (bytes) =>
      record((out) =>
        message(out, 0x32, () => {
          out.text(0x0a, "k");
          until(out, bytes, () => out.uint(0x78, 1));
        }),
      ),
  },
  "a resource": {
    signal: "logs",
    make: (bytes) =>
      request(
        (out) => message(out, 0x12, () => out.fixed64(0x09, TIME)),
        (out) => until(out, bytes, (i) => pair(out, 0x0a, `key${i % 100}`, `value ${i}`)),
      ),
  },
  "a scope": {
    signal: "traces",
    make: (bytes) =>
      request((out) => {
        message(out, 0x0a, () => {
          out.text(0x0a, "scope");
          until(out, bytes, (i) => pair(out, 0x1a, `key${i % 100}`, `value ${i}`));
        });
        message(out, 0x12, () => out.fixed64(0x39, TIME));
      }),
  },
  events: {
    signal: "traces",
    make: (bytes) =>
      span((out) =>
        until(out, bytes, (i) => {
          out.open(0x5a);
          out.fixed64(0x09, TIME);
          out.text(0x12, "event");
          pair(out, 0x1a, "number", `${i}`);
          out.close();
        }),
      ),
  },
  "one event, one link, one status": {
    signal: "traces",
    make: (bytes) =>
      span((out) => {
        message(out, 0x5a, () => until(out, bytes / 3, (i) => pair(out, 0x1a, "k", `${i}`)));
        message(out, 0x6a, () => until(out, (2 * bytes) / 3, (i) => pair(out, 0x22, "k", `${i}`)));
        message(out, 0x7a, () => {
          until(out, bytes, () => out.uint(0x78, 1));
          out.text(0x12, "why");
          out.uint(0x18, 2);
        });
      }),
  },
  points: {
    signal: "metrics",
    make: (bytes) => metric(0x2a, (out) => until(out, bytes, (i) => point(out, i))),
  },
  "one point with many attributes and exemplars": {
    signal: "metrics",
    make: (bytes) =>
      metric(0x2a, (out) =>
        message(out, 0x0a, () => {
          out.fixed64(0x19, TIME);
          until(out, bytes / 3, (i) => pair(out, 0x3a, `key${i % 100}`, `${i}`));
          message(out, 0x2a, () =>
            until(out, (2 * bytes) / 3, (i) => pair(out, 0x3a, "k", `${i}`)),
          );
          until(out, bytes, () => out.data(0x2a, Buffer.from("190000000000000040", "hex")));
        }),
      ),
  },
  "buckets of a histogram": {
    signal: "metrics",
    make: (bytes) =>
      metric(0x4a, (out) => {
        out.uint(0x10, 2);
        message(out, 0x0a, () => {
          out.fixed64(0x19, TIME);
          out.data(0x32, new Uint8Array((bytes >> 4) << 3));
          out.data(0x3a, new Uint8Array((bytes >> 4) << 3));
        });
      }),
  },
  "exponential buckets": {
    signal: "metrics",
    make: (bytes) =>
      exponential((out) => out.data(0x12, Buffer.alloc(bytes & ~1, Uint8Array.of(0x85, 1)))),
  },
  "unknown fields in exponential buckets": {
    signal: "metrics",
    make: (bytes) =>
      exponential((out) => {
        until(out, bytes / 2, () => out.uint(0x78, 1));
        out.data(0x12, Uint8Array.of(1, 2, 3));
        until(out, bytes, () => out.uint(0x78, 1));
      }),
  },
  quantiles: {
    signal: "metrics",
    make: (bytes) =>
      metric(0x5a, (out) =>
        message(out, 0x0a, () => {
          message(out, 0x32, () => until(out, bytes / 2, () => out.uint(0x78, 1)));
          until(out, bytes, () =>
            out.data(0x32, Buffer.from("09000000000000e03f110000000000000040", "hex")),
          );
        }),
      ),
  },
};

/** Valid requests that canonicalize must put right. */
export const CROOKED: Readonly<Record<string, Huge>> = {
  "tiny records with two bodies": {
    signal: "logs",
    make: (bytes) =>
      request((out) => {
        // Text enough that the tape stays within its limit.
        until(out, bytes, (i) => {
          out.open(0x12);
          out.data(0x2a, Buffer.from("0a0161", "hex"));
          out.data(0x2a, Buffer.from("0a0162", "hex"));
          pair(out, 0x32, "key", `some text of record ${i}`);
          out.close();
        });
      }),
  },
  "empty parts of a body": {
    signal: "logs",
    make: (bytes) => record((out) => until(out, bytes, () => out.data(0x2a, new Uint8Array(0)))),
  },
  "attributes with value before key": {
    signal: "logs",
    make: (bytes) =>
      record((out) => until(out, bytes, (i) => swappedPair(out, 0x32, `key${i % 100}`, `${i}`))),
  },
  "attributes without a key": {
    signal: "logs",
    make: (bytes) => record((out) => until(out, bytes, () => out.data(0x32, new Uint8Array(0)))),
  },
  "a tree with value before key": {
    signal: "logs",
    make: (bytes) =>
      record((out) =>
        message(out, 0x2a, () =>
          message(out, 0x32, () => until(out, bytes, (i) => swappedPair(out, 0x0a, "k", `${i}`))),
        ),
      ),
  },
  "parts of parts": {
    signal: "logs",
    make: (bytes) => {
      const nest = (out: ProtoWriter, depth: number): void => {
        if (depth === 10) until(out, bytes, () => out.data(0x0a, Buffer.from("0a0178", "hex")));
        else
          message(out, 0x0a, () => {
            message(out, 0x2a, () => nest(out, depth + 1));
            out.data(0x2a, Buffer.from("0a00", "hex"));
          });
      };
      return record((out) => message(out, 0x2a, () => message(out, 0x2a, () => nest(out, 1))));
    },
  },
  "text that is not UTF-8": {
    signal: "logs",
    make: (bytes) =>
      record((out) =>
        until(out, bytes, (i) =>
          message(out, 0x2a, () => out.data(0x0a, Buffer.alloc(bytes >> 1, Uint8Array.of(255, i)))),
        ),
      ),
  },
  "events with value before key": {
    signal: "traces",
    make: (bytes) =>
      span((out) =>
        until(out, bytes, (i) => {
          out.open(0x5a);
          out.fixed64(0x09, TIME);
          swappedPair(out, 0x1a, "number", `${i}`);
          out.close();
        }),
      ),
  },
  "points before the name of their metric": {
    signal: "metrics",
    make: (bytes) =>
      item((out) => {
        message(out, 0x2a, () => until(out, bytes, (i) => point(out, i)));
        out.text(0x0a, "huge");
      }),
  },
  "numbers that are not packed": {
    signal: "metrics",
    make: (bytes) => exponential((out) => until(out, bytes, (i) => out.uint(0x10, i & 127))),
  },
  "unknown fields before known ones": {
    signal: "traces",
    make: (bytes) =>
      item((out) => {
        until(out, bytes / 2, () => out.uint(0xf8, 1));
        message(out, 0xfa, () => out.raw(new Uint8Array(bytes / 4)));
        out.text(0x2a, "huge");
        out.data(0x7a, Uint8Array.of(0x18, 1));
        out.data(0x7a, Uint8Array.of(0x18, 2));
      }),
  },
};
