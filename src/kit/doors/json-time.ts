const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))?$/;
const DECIMAL = /^(-?\d+)(?:\.(\d+))?$/;
/** Magnitudes from which a number is milliseconds, microseconds, nanoseconds (mapping rule 6), and nanoseconds of each unit. */
const UNITS = [
  [10n ** 16n, 1n],
  [10n ** 13n, 1_000n],
  [10n ** 10n, 1_000_000n],
  [0n, 1_000_000_000n],
] as const;
const SECOND = 1_000_000_000n;
const MINUTE_MS = 60_000;

/** Nanoseconds since 1970 of an RFC 3339 time (without a zone: UTC) or of a number by its magnitude; undefined: it is neither. */
export function readJsonTime(text: string): bigint | undefined {
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) return ofNumber(decimal[1] as string, decimal[2] ?? "");
  const parts = RFC_3339.exec(text);
  if (parts !== null) return ofDate(parts);
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || Math.abs(number) > 1e30) return undefined;
  return ofNumber(String(BigInt(Math.trunc(number))), "");
}

function ofNumber(whole: string, fraction: string): bigint {
  const value = BigInt(whole);
  const magnitude = value < 0n ? -value : value;
  const unit = UNITS.find(([from]) => magnitude >= from)?.[1] ?? 1n;
  const rest = (BigInt(fraction.padEnd(9, "0").slice(0, 9)) * unit) / SECOND;
  return value * unit + (whole.startsWith("-") ? -rest : rest);
}

function ofDate(parts: readonly (string | undefined)[]): bigint | undefined {
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as number[];
  const [fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = parts.slice(7);
  const ms = Date.UTC(
    year as number,
    (month as number) - 1,
    day as number,
    hour as number,
    minute as number,
    second as number,
  );
  // A day that the month does not have would silently become one of the next.
  const isDay =
    new Date(Date.UTC(year as number, (month as number) - 1, day as number)).getUTCDate() === day;
  const isTime = (hour as number) < 24 && (minute as number) < 60 && (second as number) <= 60;
  if (!isDay || !isTime || Number(month) < 1 || Number(month) > 12 || Number(zoneHour) > 23)
    return undefined;
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * MINUTE_MS;
  const utc = BigInt(sign === "-" ? ms + zone : ms - zone);
  return utc * 1_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}
