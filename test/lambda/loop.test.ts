import { describe, expect, test } from "vitest";
import type { LambdaEvent } from "../../src/lambda/extensions-api.ts";
import { ExtensionLoop } from "../../src/lambda/loop.ts";
import { ownMs } from "../support/core-waits.ts";

const BUFFERING = { maxItems: 1_000, maxBytes: 262_144, timeoutMs: 25 };

/** A loop whose Lambda sends these events, one after the other, and whose queue is emptied by `deliver`. */
function loopOf(events: readonly LambdaEvent[], minBatch = 1, flushMs = 50) {
  const state = { asked: 0, waiting: 0, stopped: 0, looks: 0 };
  const stop = Promise.withResolvers<void>();
  const left = [...events];
  const next = async (): Promise<LambdaEvent> => {
    state.asked++;
    return left.shift() ?? { type: "shutdown", reason: "spindown", deadlineMs: 0 };
  };
  const delivery = {
    waiting: () => state.waiting,
    stop: () => {
      state.stopped++;
      return stop.promise;
    },
  };
  const nowMs = () => {
    state.looks++;
    return Date.now();
  };
  const options = { buffering: BUFFERING, minBatch, flushMs, nowMs };
  return { state, stop, loop: new ExtensionLoop({ next }, delivery, options) };
}

const invoke = (requestId: string, inMs = 5_000): LambdaEvent => ({
  type: "invoke",
  requestId,
  deadlineMs: Date.now() + inMs,
});
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("the loop asks for the next event", () => {
  test("only when the invocation is over and its items are delivered", async () => {
    const { state, stop, loop } = loopOf([invoke("a")], 1, 5_000);
    state.waiting = 3;
    stop.resolve();
    const ended = loop.run();
    await wait(30);
    expect(state.asked).toBe(1);
    loop.done("a");
    await wait(30);
    expect(state.asked).toBe(1);
    state.waiting = 0;
    expect(await ended).toBe(0);
    expect(state).toMatchObject({ asked: 2, stopped: 1 });
  });

  test("and does not look at the clock all the time while the function runs", async () => {
    const { state, stop, loop } = loopOf([invoke("a"), invoke("b")]);
    stop.resolve();
    const ended = loop.run();
    await wait(200);
    loop.done("other");
    await wait(200);
    expect(state.asked).toBe(1);
    expect(state.looks).toBeLessThan(10);
    loop.done("a");
    loop.done("b");
    await ended;
    expect(state.asked).toBe(3);
  });

  test("at the deadline of an invocation whose end nobody told", async () => {
    const { state, stop, loop } = loopOf([invoke("a", 60)]);
    stop.resolve();
    const began = Date.now();
    await loop.run();
    expect(state.asked).toBe(2);
    expect(Date.now() - began).toBeGreaterThanOrEqual(55);
  });

  test("when the time for a delivery is over, and when fewer wait than a batch has", async () => {
    const slow = loopOf([invoke("a")], 1, 40);
    slow.state.waiting = 5;
    slow.stop.resolve();
    slow.loop.done("a");
    expect(await slow.loop.run()).toBe(5);
    const few = loopOf([invoke("a")], 10, 60_000);
    few.state.waiting = 9;
    few.stop.resolve();
    few.loop.done("a");
    await few.loop.run();
    expect(few.state.asked).toBe(2);
  });
});

test("a stop that hangs ends within the time that Lambda gives", async () => {
  const { state, loop } = loopOf([
    { type: "shutdown", reason: "spindown", deadlineMs: Date.now() + 500 },
  ]);
  state.waiting = 7;
  const run = async () => expect(await loop.run()).toBe(7);
  expect(await ownMs(run)).toBeLessThan(500);
});
