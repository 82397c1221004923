const MAX_NAME = 511;

/** What is wrong with the name of an InfluxDB database: a letter or digit comes first, then letters, digits, `_`, `-`, and at most one `/`. */
export function databaseNameFault(name: string): string | undefined {
  if (name === "") return "db name cannot be empty";
  if (name.length > MAX_NAME) return `db name is longer than ${MAX_NAME} characters`;
  if (!/^[A-Za-z0-9]/.test(name)) return "db name did not start with a number or letter";
  if (!/^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]*)?$/.test(name))
    return "db name must use only letters, numbers, underscores and hyphens, and at most one slash";
  return undefined;
}
