import { expect, onTestFinished, test } from "vitest";
import { partialSuccessBody } from "../../src/otlp/responses.ts";
import { NAMES, plainOptions, whileBroken } from "../support/fault-destinations.ts";
import { namesInOtlp } from "../support/fault-rig.ts";
import { grpcSink } from "../support/grpc-sink.ts";
import { httpSink } from "../support/http-sink.ts";
import { until } from "../support/until.ts";

/** What a destination does with a request that holds these items. */
type Opinion = (
  names: readonly string[],
) => "takes" | "rejects" | "too large" | "keeps all but one";

const PARTIAL = partialSuccessBody("logs", 1, "one is too old", "protobuf");

/** A destination with an opinion, over HTTP or gRPC, and what it stored. */
async function destination(kind: "otlp_http" | "otlp_grpc", opinion: Opinion) {
  const stored: string[] = [];
  const judge = (body: Uint8Array) => {
    const names = namesInOtlp(body);
    const judged = opinion(names);
    if (judged === "takes") stored.push(...names);
    if (judged === "keeps all but one") stored.push(...names.slice(1));
    return judged;
  };
  if (kind === "otlp_http") {
    const sink = await httpSink();
    onTestFinished(() => sink[Symbol.asyncDispose]());
    const answers = { takes: 200, rejects: 400, "too large": 413, "keeps all but one": 200 };
    sink.answer = ({ body }) => {
      const judged = judge(body);
      const isPartial = judged === "keeps all but one";
      const headers = { "content-type": "application/x-protobuf" };
      return { status: answers[judged], headers, ...(isPartial && { body: PARTIAL }) };
    };
    return { url: sink.url, stored, requests: () => sink.requests.length };
  }
  const sink = await grpcSink([]);
  onTestFinished(() => sink[Symbol.asyncDispose]());
  const codes = { takes: 0, rejects: 3, "too large": 8, "keeps all but one": 0 };
  sink.answer = ({ message }) => {
    const judged = judge(message);
    return { code: codes[judged], ...(judged === "keeps all but one" && { reply: PARTIAL }) };
  };
  return { url: sink.address, stored, requests: () => sink.calls.length };
}

async function delivered(kind: "otlp_http" | "otlp_grpc", opinion: Opinion) {
  const { url, stored, requests } = await destination(kind, opinion);
  const { route } = await whileBroken(kind, plainOptions(kind, url));
  await until(() => route.counts().queued === 0);
  return { counts: route.counts(), stored, requests: requests(), log: route.log.lines };
}

const kinds = ["otlp_http", "otlp_grpc"] as const;

test.each(kinds)("%s: one item that is refused costs one item", async (kind) => {
  const opinion: Opinion = (names) => (names.includes("item-17") ? "rejects" : "takes");
  const { counts, stored, log } = await delivered(kind, opinion);
  expect(counts).toEqual({ appended: 50, delivered: 49, others: 1, queued: 0 });
  expect(stored.toSorted()).toEqual(NAMES.filter((name) => name !== "item-17").toSorted());
  expect(log.filter(({ text }) => text.includes("dead letters"))).toHaveLength(1);
});

test.each(kinds)("%s: what is too large goes in smaller requests", async (kind) => {
  const { counts, stored } = await delivered(kind, (names) =>
    names.length > 7 ? "too large" : "takes",
  );
  expect(counts).toEqual({ appended: 50, delivered: 50, others: 0, queued: 0 });
  expect(stored.toSorted()).toEqual(NAMES.toSorted());
});

test.each(kinds)("%s: what a partial success left out is dropped, not sent again", async (kind) => {
  const { counts, stored, requests } = await delivered(kind, () => "keeps all but one");
  expect(counts).toEqual({ appended: 50, delivered: 50 - requests, others: requests, queued: 0 });
  expect(stored).toHaveLength(50 - requests);
});
