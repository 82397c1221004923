import { type FSWatcher, watch } from "node:fs";

/** More directories are left to polling. */
const WATCHED_MAX = 256;

/** Directories of which the system says when something in them changes (inotify); where it does not, polling sees it all the same. */
export class Watching {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #onNews: (isNew: boolean) => void;
  #wake: (() => void) | undefined;
  #hasNews = false;

  /** `isNew`: a file came, went, or has another name. */
  constructor(onNews: (isNew: boolean) => void) {
    this.#onNews = onNews;
  }

  watch(directories: ReadonlySet<string>): void {
    for (const [directory, watcher] of this.#watchers)
      if (!directories.has(directory)) {
        watcher.close();
        this.#watchers.delete(directory);
      }
    for (const directory of directories) {
      if (this.#watchers.has(directory) || this.#watchers.size >= WATCHED_MAX) continue;
      try {
        const watcher = watch(directory, { persistent: false }, (event) =>
          this.#news(event === "rename"),
        );
        watcher.on("error", () => this.#drop(directory));
        this.#watchers.set(directory, watcher);
      } catch {
        // Not there yet, or no watches left.
      }
    }
  }

  /** Resolves when something has changed since the last time, or after `ms`. */
  async changed(ms: number, stop: AbortSignal): Promise<void> {
    if (!this.#hasNews && ms > 0 && !stop.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      this.#wake = resolve;
      stop.addEventListener("abort", () => resolve(), { once: true, signal: this.#over.signal });
      await promise;
      clearTimeout(timer);
      this.#over.abort();
      this.#over = new AbortController();
      this.#wake = undefined;
    }
    this.#hasNews = false;
  }
  /** Ends what waits for the stop. */
  #over = new AbortController();

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #news(isNew: boolean): void {
    this.#hasNews = true;
    this.#onNews(isNew);
    this.#wake?.();
  }

  #drop(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}
