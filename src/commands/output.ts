/** Where a command writes; tests bring their own. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export const standardOutput: Output = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};
