/** Says whether something held, and what was seen. */
export type Check = (what: string, isFine: boolean, detail?: string) => void;

/** A real program that Weir talks to. */
export interface Peer {
  readonly name: string;
  /** What it proves. */
  readonly what: string;
  /** Makes sure that it is there; the reason when it cannot be. */
  install(): Promise<string | undefined>;
  run(check: Check): Promise<void>;
}
