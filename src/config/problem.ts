/** Where something stands in what the user wrote; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One mistake, or one warning, and where it is. */
export interface Problem extends Place {
  readonly message: string;
}

/** `file:line:column: message`, which editors and terminals make clickable. */
export function formatProblem({ file, line, column, message }: Problem): string {
  return `${printable(file)}:${line}:${column}: ${printable(message)}`;
}

/** At most this many are kept of each kind: the rest would not be read. */
export const MAX_PROBLEMS = 200;

/** Collects everything that is wrong, so that all of it is said at once. */
export class Problems {
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #seen = new Set<string>();

  error(place: Place, message: string): void {
    this.#add(this.errors, place, message);
  }

  warn(place: Place, message: string): void {
    this.#add(this.warnings, place, message);
  }

  #add(list: Problem[], { file, line, column }: Place, message: string): void {
    const id = `${file}:${line}:${column}: ${message}`;
    if (list.length >= MAX_PROBLEMS || this.#seen.has(id)) return;
    this.#seen.add(id);
    list.push({ file, line, column, message });
  }
}

/** Files in the order they were given, then by line: the order in which people fix things. */
export function inReadingOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const rank = (file: string) => (files.includes(file) ? files.indexOf(file) : files.length);
  return [...problems].sort(
    (a, b) =>
      rank(a.file) - rank(b.file) ||
      (a.file === b.file ? 0 : a.file < b.file ? -1 : 1) ||
      a.line - b.line ||
      a.column - b.column,
  );
}

/** Text from a file must not drive the terminal, and one problem is one line. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
