/** Different errors that an answer lists. */
const LISTED_MAX = 20;
/** Longest error in full: labels may have megabytes. */
const TEXT_MAX = 16_384;

/** Errors of the entries of one request, as Loki puts them together: equal ones are counted. */
export class PushErrors {
  readonly #counts = new Map<string, number>();
  #more = 0;

  /** Whether new ones would only be counted. */
  get isFull(): boolean {
    return this.#counts.size === LISTED_MAX;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** The first of them. */
  get first(): string {
    const [first = ""] = this.#counts.keys();
    return first;
  }

  add(text: string): void {
    const short = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
    const count = this.#counts.get(short);
    if (count === undefined && this.isFull) this.#more++;
    else this.#counts.set(short, (count ?? 0) + 1);
  }

  /** One that is not listed. */
  addMore(): void {
    this.#more++;
  }

  text(): string {
    const [[first = "", count = 0] = []] = this.#counts;
    if (this.#counts.size === 1 && count === 1 && this.#more === 0) return first;
    const all = [...this.#counts].map(([text, n]) => `${n} errors like: ${text}`);
    if (this.#more > 0) all.push(`${this.#more} other errors`);
    return all.join("; ");
  }
}
