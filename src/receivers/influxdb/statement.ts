const CREATE =
  /^\s*create\s+database\s+(?:"((?:[^"\\\n]|\\["\\n])+)"|([A-Za-z_][A-Za-z0-9_]*))(?:\s+with\s[^;]*)?\s*;?\s*$/i;
/** Longer statements create no database. */
const LONGEST = 4_096;

/** Name of the database that a statement of InfluxQL creates; undefined for every other statement. */
export function createdDatabase(statement: string): string | undefined {
  if (statement.length > LONGEST) return undefined;
  const found = CREATE.exec(statement);
  if (found === null) return undefined;
  return found[1]?.replace(/\\(["\\])/g, "$1") ?? found[2];
}
