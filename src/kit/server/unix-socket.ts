import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { UNIX } from "./server-listener.ts";

/** The path of an endpoint that is a socket in the file system; undefined: it is none. */
export function socketPath(endpoint: string): string | undefined {
  return endpoint.startsWith(UNIX) ? endpoint.slice(UNIX.length) : undefined;
}

/** Takes a socket away that a process left when it was killed: one on which nobody listens. Everything else stays, for the error of who listens next. */
export async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() !== true || !(await isDeaf(path))) return;
  await unlink(path).catch(() => {});
}

function isDeaf(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "ECONNREFUSED"));
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
  });
}
