/** Where a command writes; tests bring their own. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export const standardOutput: Output = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

/** A reader that has seen enough (`weir query … | head`) ends the command, without a word. */
export function endWithReader(): void {
  process.stdout.on("error", endOnBrokenPipe);
}

/** For what goes on without a reader of its output: the service. */
export function goOnWithoutReader(): void {
  process.stdout.off("error", endOnBrokenPipe);
  process.stdout.on("error", () => {});
}

function endOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit();
}
