import { SLACK } from "../../wire/slack.ts";

/** Memory that grows, with SLACK behind what was put there. */
export class Scratch {
  bytes: Uint8Array = new Uint8Array(4_096 + SLACK);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;

  put(bytes: Uint8Array): void {
    const end = this.length + bytes.length;
    if (end + SLACK > this.bytes.length) {
      const larger = new Uint8Array(2 * end + SLACK);
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.bytes.set(bytes, this.length);
    this.length = end;
  }
}
