/** An Error of whatever was thrown. */
export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Message of an error and of what caused it; several addresses that were tried count as one. */
export function errorText(reason: unknown): string {
  if (reason instanceof AggregateError && reason.errors.length > 0)
    return errorText(reason.errors[0]);
  const error = asError(reason);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}` || error.name;
}
