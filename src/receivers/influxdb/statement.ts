/** Of a statement without white space around it. No two parts of it take the same characters, so that nothing is looked at again and again. */
const CREATE =
  /^create\s+database\s+(?:"((?:[^"\\\n]|\\["\\n])+)"|([A-Za-z_][A-Za-z0-9_]*))(?:\s+with\s[^;]*)?$/i;
/** Longer statements create no database. */
const LONGEST = 4_096;

/** Name of the database that a statement of InfluxQL creates; undefined for every other statement. */
export function createdDatabase(statement: string): string | undefined {
  if (statement.length > LONGEST) return undefined;
  const whole = statement.trim();
  const found = CREATE.exec((whole.endsWith(";") ? whole.slice(0, -1) : whole).trimEnd());
  if (found === null) return undefined;
  return found[1]?.replace(/\\(["\\])/g, "$1") ?? found[2];
}
