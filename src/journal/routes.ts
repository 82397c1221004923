import type { RouteLimits, Routes } from "./journal.ts";

/** Most routes one journal can name in its life: 32 words per frame. */
export const MAX_ROUTES = 1_024;

/** A queue that takes everything. */
export const UNLIMITED: RouteLimits = {
  bytes: Number.POSITIVE_INFINITY,
  items: Number.POSITIVE_INFINITY,
  frames: Number.POSITIVE_INFINITY,
  onFull: "refuse",
};

/** The bit set of these route numbers. */
export function routesOf(numbers: readonly number[]): Routes {
  let words = 1;
  for (const number of numbers) {
    if (!Number.isInteger(number) || number < 0 || number >= MAX_ROUTES)
      throw new RangeError(`route number ${number} is not between 0 and ${MAX_ROUTES - 1}`);
    words = Math.max(words, (number >>> 5) + 1);
  }
  const routes = new Uint32Array(words);
  for (const number of numbers) setRoute(routes, number);
  return routes;
}

/** Whether the set has the route. */
export function hasRoute(routes: Routes, number: number): boolean {
  return (((routes[number >>> 5] ?? 0) >>> (number & 31)) & 1) === 1;
}

/** The numbers in the set, ascending. */
export function routeNumbers(routes: Routes): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < routes.length; index++)
    for (let rest = routes[index] ?? 0; rest !== 0; rest &= rest - 1)
      numbers.push(index * 32 + 31 - Math.clz32(rest & -rest));
  return numbers;
}

/** A new set without the route. */
export function withoutRoute(routes: Routes, number: number): Routes {
  const rest = routes.slice();
  const index = number >>> 5;
  if (index < rest.length) rest[index] = ((rest[index] ?? 0) & ~(1 << (number & 31))) >>> 0;
  return rest;
}

/** A new set with the routes of both. */
export function unionRoutes(a: Routes, b: Routes): Routes {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const union = long.slice();
  for (let index = 0; index < short.length; index++)
    union[index] = (union[index] ?? 0) | (short[index] ?? 0);
  return union;
}

function setRoute(routes: Routes, number: number): void {
  const index = number >>> 5;
  routes[index] = ((routes[index] ?? 0) | (1 << (number & 31))) >>> 0;
}
