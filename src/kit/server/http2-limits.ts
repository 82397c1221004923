import type { ServerOptions } from "node:http2";

/** A paused stream buffers one full window, so windows stay small. */
const WINDOW_BYTES = 64 * 1024;
const HEADER_LIST_BYTES = 16 * 1024;
const HEADER_PAIRS = 100;
/** MB that one connection's HTTP/2 machinery may hold. */
const SESSION_MEMORY_MB = 16;
const INVALID_FRAMES = 10;

/** What one connection of a client may cost us. */
export function http2Limits(maxConcurrentStreams = 100): ServerOptions {
  return {
    // Checks our own answers for headers that must not repeat; they are constants.
    strictSingleValueFields: false,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxHeaderListPairs: HEADER_PAIRS,
    maxSessionInvalidFrames: INVALID_FRAMES,
    settings: {
      initialWindowSize: WINDOW_BYTES,
      maxConcurrentStreams,
      maxHeaderListSize: HEADER_LIST_BYTES,
      enablePush: false,
    },
  };
}
