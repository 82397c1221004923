import protobuf from "protobufjs";

/** Loki's push request by an independent reader (facts of loki/pkg/push/push.proto). */
const root = protobuf.parse(
  `syntax = "proto3";
   message Push { repeated Stream streams = 1; }
   message Stream { string labels = 1; repeated Entry entries = 2; }
   message Entry { Timestamp timestamp = 1; string line = 2; repeated Pair structuredMetadata = 3; }
   message Timestamp { int64 seconds = 1; int32 nanos = 2; }
   message Pair { string name = 1; string value = 2; }`,
).root;
const type = root.lookupType("Push");

export interface PushEntry {
  readonly nanos: bigint;
  readonly line: string;
  readonly metadata: readonly (readonly [string, string])[];
}
export interface PushStream {
  readonly labels: string;
  readonly entries: readonly PushEntry[];
}

interface Wire {
  streams?: {
    labels?: string;
    entries?: {
      timestamp?: { seconds?: protobuf.Long; nanos?: number };
      line?: string;
      structuredMetadata?: { name: string; value: string }[];
    }[];
  }[];
}

export function decodePush(bytes: Uint8Array): PushStream[] {
  const { streams = [] } = type.decode(bytes) as Wire;
  return streams.map(({ labels = "", entries = [] }) => ({
    labels,
    entries: entries.map(({ timestamp, line = "", structuredMetadata = [] }) => ({
      nanos:
        BigInt(String(timestamp?.seconds ?? 0)) * 1_000_000_000n + BigInt(timestamp?.nanos ?? 0),
      line,
      metadata: structuredMetadata.map(({ name, value }) => [name, value] as const),
    })),
  }));
}

export function encodePush(streams: readonly PushStream[]): Uint8Array {
  const message = {
    streams: streams.map(({ labels, entries }) => ({
      labels,
      entries: entries.map(({ nanos, line, metadata }) => {
        const seconds = Number(nanos / 1_000_000_000n);
        const rest = Number(nanos % 1_000_000_000n);
        return {
          timestamp: {
            ...(seconds === 0 ? {} : { seconds }),
            ...(rest === 0 ? {} : { nanos: rest }),
          },
          ...(line === "" ? {} : { line }),
          structuredMetadata: metadata.map(([name, value]) => ({ name, value })),
        };
      }),
    })),
  };
  return Uint8Array.from(type.encode(type.fromObject(message)).finish());
}
