import type { LineError } from "./line-rows.ts";

/** What a write is answered: InfluxDB 3's status codes and bodies. */
export interface WriteAnswer {
  readonly status: number;
  /** Empty with 204. */
  readonly body: string;
}

export const STORED: WriteAnswer = { status: 204, body: "" };

/** Some lines were refused, the rest is stored. */
export function partialAnswer(errors: readonly LineError[]): WriteAnswer {
  const isLimit = errors.some(({ message }) => message.startsWith("Update to schema would exceed"));
  return {
    status: isLimit ? 422 : 400,
    body: JSON.stringify({
      error: "partial write of line protocol occurred",
      data: errors.map(detailOf),
    }),
  };
}

/** With accept_partial=false: nothing is stored because of this line. */
export function wholeAnswer(error: LineError): WriteAnswer {
  return {
    status: 400,
    body: JSON.stringify({ error: "line protocol parsing error", data: detailOf(error) }),
  };
}

function detailOf({ message, lineNumber, original }: LineError) {
  return { error_message: message, line_number: lineNumber, original_line: original };
}
