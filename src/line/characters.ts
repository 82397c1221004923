/** The characters that mean something in line protocol, and classes of bytes for its loops. */

export const NEWLINE = 10;
export const RETURN = 13;
export const SPACE = 32;
export const QUOTE = 34;
export const HASH = 35;
export const COMMA = 44;
export const EQUALS = 61;
export const OPEN = 91;
export const BACKSLASH = 92;
export const CLOSE = 93;
export const LETTER_B = 98;

/** Classes of bytes in names: 0 plain, 1 ends a name, 2 backslash, 3 not ASCII. */
export const NAME = new Uint8Array(256).fill(3, 128).fill(1, 0, 33);
NAME[COMMA] = NAME[EQUALS] = NAME[127] = 1;
NAME[BACKSLASH] = 2;
/** Classes of bytes in strings: 0 plain, 1 quote, 2 backslash, 3 not ASCII, 4 newline. */
export const STRING = new Uint8Array(256).fill(3, 128);
STRING[QUOTE] = 1;
STRING[BACKSLASH] = 2;
STRING[NEWLINE] = 4;

/** Bytes that end a number or boolean in a line. */
export const SCALAR_END = new Uint8Array(256);
SCALAR_END[COMMA] = SCALAR_END[SPACE] = SCALAR_END[NEWLINE] = SCALAR_END[RETURN] = 1;

/** Bytes of scalars in lists: letters, digits, sign, dot. */
export const LIST_SCALAR = new Uint8Array(256).fill(1, 48, 58).fill(1, 65, 91).fill(1, 97, 123);
LIST_SCALAR[43] = LIST_SCALAR[45] = LIST_SCALAR[46] = 1;
