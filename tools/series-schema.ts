import { type Keys, PARTS, type Shape, TABLE } from "../src/series/tables/grammar.ts";

/** JSON Schema of a table file, for editors: what `series/tables/grammar.ts` says. */
export function seriesSchema(): object {
  const definitions = Object.entries(PARTS).map(([name, { keys, isListed }]) => {
    const one = keysSchema(keys);
    return [name, isListed ? { anyOf: [one, { type: "array", items: one }] } : one];
  });
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Weir series table",
    ...keysSchema(TABLE),
    definitions: Object.fromEntries(definitions),
  };
}

function keysSchema(keys: Keys): object {
  const properties = Object.entries(keys).map(([name, { doc, shape }]) => {
    const schema = shapeSchema(shape);
    // Draft 7 ignores what stands beside a $ref.
    return [name, { description: doc, ...("$ref" in schema ? { allOf: [schema] } : schema) }];
  });
  const required = Object.entries(keys).flatMap(([name, { isNeeded }]) => (isNeeded ? [name] : []));
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}

function shapeSchema(shape: Shape): object {
  switch (shape.is) {
    case "text":
      return { type: "string", minLength: 1 };
    case "number":
      return { type: "number" };
    case "boolean":
      return { type: "boolean" };
    case "scalar":
      return { type: ["string", "number", "boolean"] };
    case "word":
      return { enum: shape.words };
    case "list":
      return { type: "array", items: shapeSchema(shape.of) };
    case "map":
      return { type: "object", additionalProperties: shapeSchema(shape.of) };
    case "part":
      return { $ref: `#/definitions/${shape.name}` };
    case "either":
      return { anyOf: shape.of.map(shapeSchema) };
  }
}
