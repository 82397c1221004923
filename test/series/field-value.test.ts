import fc from "fast-check";
import { expect, test } from "vitest";
import { convertValue, splitFields, typeOfValue } from "../../src/series/field-value.ts";
import type { FieldType } from "../../src/series/type-registry.ts";

test.each([
  // value, to, exactly, rounded
  ["5i", "float", "5"],
  ["-5i", "float", "-5"],
  ["9007199254740993i", "float", undefined],
  ["9007199254740992i", "float", "9007199254740992"],
  ["5i", "text", '"5"'],
  ["5i", "uinteger", "5u"],
  ["-5i", "uinteger", undefined],
  ["5i", "boolean", undefined],
  ["5u", "integer", "5i"],
  ["9223372036854775808u", "integer", undefined],
  ["18446744073709551615u", "text", '"18446744073709551615"'],
  ["12.0", "integer", "12i"],
  ["12", "integer", "12i"],
  ["1e3", "integer", "1000i"],
  ["77.829", "integer", undefined, "78i"],
  ["-0.4", "integer", undefined, "0i"],
  ["1e300", "integer", undefined, undefined],
  ["-1.5", "uinteger", undefined, undefined],
  ["1.5", "text", '"1.5"'],
  ["1.5", "boolean", undefined],
  ["true", "text", '"true"'],
  ["t", "text", '"true"'],
  ["F", "text", '"false"'],
  ["true", "float", undefined],
  ["true", "integer", undefined],
  ['"5"', "integer", "5i"],
  ['"5"', "float", "5"],
  ['"5.5"', "integer", undefined, "6i"],
  ['"5.5"', "float", "5.5"],
  ['"1e999"', "float", undefined],
  ['"9007199254740993"', "float", undefined],
  ['"05"', "integer", undefined],
  ['" 5"', "integer", undefined],
  ['""', "float", undefined],
  ['"true"', "boolean", "true"],
  ['"TRUE"', "boolean", undefined],
  ['"a\\"b"', "integer", undefined],
] as [string, FieldType, string | undefined, string?][])(
  "%s as %s: %s",
  (value, to, exactly, rounded = exactly) => {
    expect(convertValue(value, typeOfValue(value), to, false)).toBe(exactly);
    expect(convertValue(value, typeOfValue(value), to, true)).toBe(rounded);
  },
);

const name = fc.constantFrom("a", "b\\ c", "d\\=e", "f\\,g", "h\\\\", '"q"');
const value = fc.constantFrom(
  "1",
  "1.5e-7",
  "2i",
  "3u",
  "true",
  '""',
  '"a,b=c d"',
  '"\\"\\\\"',
  '"x\ny"',
);

test("fields are found whatever is in their names and texts", () => {
  const field = fc.record({ name, value });
  fc.assert(
    fc.property(fc.array(field, { minLength: 1, maxLength: 6 }), (fields) => {
      const text = fields.map(({ name, value }) => `${name}=${value}`).join(",");
      expect(splitFields(text)).toEqual(fields);
    }),
  );
});
