import { randomBytes } from "node:crypto";
import type { FileIo } from "./file-io.ts";
import { IDENTITY_FILE, type Identity, readIdentity } from "./identity.ts";
import { segmentSeed } from "./layout.ts";
import { Progress } from "./progress.ts";
import { Replay } from "./replay.ts";
import { FileWindow, firstCheckpoint, type Scanned, scanSegment } from "./scan.ts";
import { Segment } from "./segment.ts";
import { type Found, inspect, setAside } from "./segment-files.ts";
import { type JournalLog, JournalState } from "./state.ts";

interface Options {
  readonly io: FileIo;
  readonly log: JournalLog;
  readonly nowMs: () => number;
}

/** Numbers left out after a crash, so that none is used twice even when the disk lost frames that readers had already sent on. */
const GAP = 2 ** 20;
/** The same without fsync: a power cut may take everything since the last flush of the system. */
const GAP_UNSYNCED = 2 ** 32;

/**
 * Reads the directory, whatever is in it. Writes nothing; sets aside files that are no segments of this journal and removes what was
 * never acknowledged. Both may be repeated, so a crash in here costs nothing. Memory: one window and the columns of the frames.
 */
export async function recover({ io, log, nowMs }: Options): Promise<JournalState> {
  const identity = await readIdentity(io);
  const known = identity === "bad" ? undefined : identity;
  const found = await inspect(io, known?.id);
  const state = new JournalState(found.journalId ?? known?.id ?? randomBytes(16).toString("hex"));
  const replay = new Replay(state);
  for (const { number, name, signal } of known?.routes ?? []) replay.define(number, name, signal);
  const files = await withoutReplaced(io, state.id, found.segments);
  const listed = await newestList(io, state.id, files);
  await harden(io, files.at(-1)?.name, log);
  let last: Scanned | undefined;
  for (const [index, file] of files.entries()) {
    const limit = limitOf(files, index, listed);
    if (limit === 0) {
      await io.remove(file.name).catch(() => {});
      continue;
    }
    const isLast = index === files.length - 1;
    last = await recoverSegment(io, state, replay, file, limit, isLast, { log, nowMs });
  }
  for (const { reason, name, id } of found.refused) {
    if (state.quarantine(reason, id, 0))
      log.error({ file: name, reason }, "a file was set aside; its frames are not delivered");
  }
  if (identity === "bad") {
    await setAside(io, IDENTITY_FILE);
    state.quarantine("identity", 0, 0);
    log.error({ file: IDENTITY_FILE }, "the identity file was damaged; rebuilt from the segments");
  }
  state.isIdentityStale = known === undefined || known.routes.length !== state.routes.size;
  number(state, known, files, last, replay.lastSeq);
  state.nextSegment = Math.max(known?.nextSegment ?? 1, found.lastId + 1);
  balance(state, listed, log);
  return state;
}

/**
 * What the process before wrote last may be in memory only: it is made durable before it is counted and delivered, or a power cut
 * could take back what the totals already hold.
 */
async function harden(io: FileIo, name: string | undefined, log: JournalLog): Promise<void> {
  if (name === undefined) return;
  try {
    const file = await io.open(name, "append");
    try {
      await file.datasync();
      await io.syncDirectory();
    } finally {
      await file.close();
    }
  } catch (error) {
    log.warn(
      { segment: name, err: String(error) },
      "the last segment could not be synced at start",
    );
  }
}

/** Bytes of a segment that count: of a copy all, else as the newest full checkpoint says, else as the header of the next segment says, else all. */
function limitOf(files: readonly Found[], index: number, listed: Listed): number {
  const file = files[index];
  if (file === undefined) return 0;
  const known = file.id < listed.by ? (listed.lengths.get(file.id) ?? 0) : undefined;
  const own = file.header?.ownLength;
  if (known === 0 || own !== undefined) return known === 0 ? 0 : (own ?? 0);
  if (known !== undefined) return known;
  const next = files[index + 1]?.header;
  return next?.previousId === file.id ? next.previousLength : file.size;
}

interface Listed {
  /** Id of the segment whose checkpoint this is; 0 = none was found. */
  readonly by: number;
  readonly lengths: ReadonlyMap<number, number>;
}

/** What the newest full checkpoint says about the segments before it. */
async function newestList(io: FileIo, journalId: string, files: readonly Found[]): Promise<Listed> {
  for (const file of files.toReversed()) {
    const segments = (await firstCheckpoint(io, journalId, file.id, file.size))?.segments;
    if (segments !== undefined) return { by: file.id, lengths: new Map(segments) };
  }
  return { by: 0, lengths: new Map() };
}

/** The files without those whose frames were copied into another one: they are removed, as the process before was about to. */
async function withoutReplaced(
  io: FileIo,
  journalId: string,
  files: readonly Found[],
): Promise<readonly Found[]> {
  const replaced = new Set<number>();
  for (const { id, size, header } of files) {
    if (header?.ownLength === undefined) continue;
    const checkpoint = await firstCheckpoint(io, journalId, id, size);
    for (const other of checkpoint?.replaces ?? []) replaced.add(other);
  }
  for (const { id, name } of files) if (replaced.has(id)) await io.remove(name).catch(() => {});
  return files.filter(({ id }) => !replaced.has(id));
}

async function recoverSegment(
  io: FileIo,
  state: JournalState,
  replay: Replay,
  file: Found,
  limit: number,
  isLast: boolean,
  { log, nowMs }: Omit<Options, "io">,
): Promise<Scanned> {
  const segment = new Segment(file.id, file.header?.createdMs ?? nowMs());
  const opened = await io.open(file.name, "read");
  try {
    const window = new FileWindow(opened, file.size);
    const seed = segmentSeed(state.id, file.id);
    const end = Math.min(limit, file.size);
    const scanned = await scanSegment(window, seed, end, (group) => replay.group(segment, group));
    replay.lastSeq = Math.max(replay.lastSeq, scanned.lastSeq, (file.header?.firstSeq ?? 1) - 1);
    if (file.header === undefined && state.quarantine("header", file.id, 0))
      log.error({ segment: file.id }, "a segment header was damaged; its groups were recovered");
    for (const region of scanned.regions) {
      const { from, to, survivors, isUnreadable } = region;
      const isCopy = file.header?.ownLength !== undefined;
      const isTorn = isLast && from >= scanned.lastWriteAt && !isUnreadable && !isCopy;
      // A later start must not take the torn end of the then last write for damage.
      if (isTorn) state.note(file.id, from);
      if (isTorn) continue;
      for (const frame of survivors) replay.count(frame);
      const reason = isUnreadable ? "unreadable" : "checksum";
      if (state.quarantine(reason, file.id, from))
        log.error(
          { segment: file.id, from, to, reason },
          "damage in the journal; counted, skipped",
        );
    }
    if (end < limit && !isLast && state.quarantine("truncated", file.id, end))
      log.error({ segment: file.id, length: end, expected: limit }, "a segment is too short");
    segment.length = isLast ? scanned.end : end;
    state.segments.list.push(segment);
    state.segments.bytes += segment.length;
    state.segments.frames += segment.count;
    return scanned;
  } finally {
    await opened.close().catch(() => {});
  }
}

/** The next frame's number. After a clean stop the numbers go on without a gap. */
function number(
  state: JournalState,
  identity: Identity | undefined,
  files: readonly Found[],
  last: Scanned | undefined,
  lastSeq: number,
): void {
  const next = Math.max(lastSeq + 1, identity?.nextSeq ?? 1);
  const [id, length] = identity?.closed ?? [0, 0];
  const file = files.at(-1);
  const isClean = (file?.id ?? 0) === id && (last?.end ?? 0) === length;
  const gap = file?.header?.unsynced === true ? GAP_UNSYNCED : GAP;
  state.nextSeq = isClean || file === undefined ? next : Math.ceil(next / gap) * gap + 1;
}

/**
 * Counts what waits, from frame headers. Where damage took frames, the law is short by exactly these: they are booked as dropped.
 * Without any damage nothing is booked: a law that does not hold must be seen.
 */
function balance(state: JournalState, listed: Listed, log: JournalLog): void {
  const missing = [...listed.lengths.keys()].filter(
    (id) => !state.segments.list.some((segment) => segment.id === id),
  );
  for (const route of state.routes.values()) {
    route.progress.restart();
    route.durable = new Progress(route.progress.upTo, route.progress.open);
    route.recount(state.segments);
    for (const segment of state.segments.list) route.adoptFrom(segment);
    const items = route.imbalance;
    if (items === 0) continue;
    const fields = { route: route.name, items };
    if (state.damage.length === 0 && missing.length === 0) {
      log.error(fields, "the counts of a route do not add up, and nothing is damaged: a bug");
      continue;
    }
    if (items > 0) {
      route.drop("corrupt", items);
      for (const id of missing) state.quarantine("missing_segment", id, 0);
      log.error(fields, "damage took frames of a route; counted as dropped");
    } else {
      route.appended -= items;
      route.version++;
      log.warn(fields, "frames came back that could not be read before; delivered after all");
    }
  }
}
