const MAX_LENGTH = 80;

/** The candidate that a person most likely meant, if one is close enough to be worth suggesting. */
export function nearest(word: string, given: Iterable<string>): string | undefined {
  const candidates = [...given];
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  const plain = word.toLowerCase();
  for (const candidate of candidates) {
    const distance = editDistance(plain, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  const begins = (candidate: string) =>
    plain.length > 2 && candidate.toLowerCase().startsWith(plain);
  return best ?? candidates.find(begins);
}

/** ` (did you mean "x"?)`, or the list of what is valid, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const all = [...candidates];
  const near = nearest(word, all);
  if (near !== undefined) return ` (did you mean "${near}"?)`;
  if (all.length === 0) return "";
  const shown = all.slice(0, 20).join(", ");
  return ` (valid: ${shown}${all.length > 20 ? ", …" : ""})`;
}

/** Insertions, deletions, replacements and swaps of neighbours between two words. Words too long to be names are far from all others. */
function editDistance(a: string, b: string): number {
  if (a.length > MAX_LENGTH || b.length > MAX_LENGTH) return a === b ? 0 : Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
