import type { Outcome } from "../../kit/doors/exporting.ts";

/** Why a connection ends: what it sent cannot be read on, or must not be. */
export class Fault extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome, why: string) {
    super(why);
    this.name = "Fault";
    this.outcome = outcome;
  }
}
