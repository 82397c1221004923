/** Whole numbers from 0 to below a bound, the same for the same seed. */
export type Random = (below: number) => number;

export function seeded(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return Math.floor(((state >>> 8) / (1 << 24)) * below);
  };
}

/** A copy with one to four bytes replaced. */
export function damagedCopy(bytes: Uint8Array, random: Random): Uint8Array {
  const broken = Uint8Array.from(bytes);
  for (let i = 1 + random(4); i > 0 && broken.length > 0; i--)
    broken[random(broken.length)] = random(256);
  return broken;
}
