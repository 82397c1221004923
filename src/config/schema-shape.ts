import { z } from "zod";
import { Secret } from "./blocks.ts";
import type { Path } from "./tree.ts";

/** One step into a schema: what a key's or an index's value must be. */
export function schemaAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType | undefined {
  let here: z.core.$ZodType | undefined = schema;
  for (const step of path) here = here && childOf(here, step);
  return here;
}

/** Keys of an object schema, through whatever wraps it; undefined when it is none. */
export function keysOf(schema: z.core.$ZodType | undefined): readonly string[] | undefined {
  const inner = schema && bare(schema);
  return inner instanceof z.core.$ZodObject ? Object.keys(inner._zod.def.shape) : undefined;
}

/** Without optional, nullable, default, prefault, transform and catch around it. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
  let here = schema;
  for (;;) {
    if (here instanceof z.core.$ZodPipe) here = here._zod.def.in;
    else if (
      here instanceof z.core.$ZodOptional ||
      here instanceof z.core.$ZodNullable ||
      here instanceof z.core.$ZodDefault ||
      here instanceof z.core.$ZodPrefault ||
      here instanceof z.core.$ZodReadonly ||
      here instanceof z.core.$ZodCatch
    )
      here = here._zod.def.innerType;
    else if (here instanceof z.core.$ZodLazy) here = here._zod.innerType;
    else return here;
  }
}

function childOf(schema: z.core.$ZodType, step: string | number): z.core.$ZodType | undefined {
  const inner = bare(schema);
  if (inner instanceof z.core.$ZodObject) {
    const { shape, catchall } = inner._zod.def;
    return Object.hasOwn(shape, step) ? shape[step] : catchall;
  }
  if (inner instanceof z.core.$ZodArray) return inner._zod.def.element;
  if (inner instanceof z.core.$ZodRecord) return inner._zod.def.valueType;
  if (inner instanceof z.core.$ZodUnion)
    return inner._zod.def.options.map((option) => childOf(option, step)).find(Boolean);
  return undefined;
}

/** True for `secret()`: a schema that turns a text into a Secret. */
export function isSecret(schema: z.core.$ZodType | undefined): boolean {
  if (schema === undefined) return false;
  const trial = z.core.safeParse(schema, "x");
  return trial.success && trial.data instanceof Secret;
}

/** True for a number that must be whole. */
export function isWhole(schema: z.core.$ZodType | undefined): boolean {
  return schema !== undefined && bare(schema) instanceof z.core.$ZodNumberFormat;
}
