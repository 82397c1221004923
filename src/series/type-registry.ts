/** Words for the types of fields (mapping §9.9). */
export const FIELD_TYPES = ["float", "integer", "uinteger", "boolean", "text"] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** What is known of one field of one database. */
export interface FieldEntry {
  readonly table: string;
  readonly field: string;
  readonly type: FieldType;
  /** The destination said so; otherwise it is the type of the first value. */
  readonly adopted: boolean;
}

interface Known {
  readonly type: FieldType;
  readonly adopted: boolean;
  /** How often the destination changed its mind since the start. */
  readonly changes: number;
}

/** Fields of one registry, and characters of their names: what is over is written as it comes. */
export const FIELDS_MAX = 65_536;
export const NAMES_MAX = 8 << 20;
/** A destination that names another type each time (one per shard, say) is not followed for ever. */
const CHANGES_MAX = 4;

/**
 * The types of fields in one database: the first value's for fields that no table declares, the destination's where it named one
 * (mapping §1, rules 3 and 4). An entry changes only by `adopt`, which makes a new version: items that are written again by the same
 * version give the same bytes.
 */
export class TypeRegistry {
  readonly #tables = new Map<string, Map<string, Known>>();
  readonly #note: (entry: FieldEntry) => void;
  readonly #adopted = new Set<string>();
  #fields = 0;
  #names = 0;
  #version = 0;

  /** `note` keeps what is new for the next start. */
  constructor(note: (entry: FieldEntry) => void = () => {}) {
    this.#note = note;
  }

  /** Grows with each adopted type. 0: none so far. */
  get version(): number {
    return this.#version;
  }

  get fields(): number {
    return this.#fields;
  }

  /** Whether the destination has named the type of one of the table's fields. */
  isAdopted(table: string): boolean {
    return this.#adopted.has(table);
  }

  typeOf(table: string, field: string): FieldType | undefined {
    return this.#tables.get(table)?.get(field)?.type;
  }

  /** Type of a field that a value of `type` is written to: the known one, else this one from now on. Undefined: the registry is full. */
  see(table: string, field: string, type: FieldType): FieldType | undefined {
    const known = this.typeOf(table, field);
    if (known !== undefined) return known;
    return this.#set({ table, field, type, adopted: false }, 0) ? type : undefined;
  }

  /** The destination holds the field with this type. True when that is new. */
  adopt(table: string, field: string, type: FieldType): boolean {
    const known = this.#tables.get(table)?.get(field);
    if (known?.type === type && known.adopted) return false;
    const changes = known?.adopted ? known.changes + 1 : 0;
    if (changes > CHANGES_MAX) return false;
    if (!this.#set({ table, field, type, adopted: true }, changes)) return false;
    this.#version++;
    return true;
  }

  /** What an earlier process noted. */
  recall(entry: FieldEntry): void {
    if (entry.adopted) this.#version++;
    this.#put(entry, 0);
  }

  *entries(): Generator<FieldEntry> {
    for (const [table, fields] of this.#tables)
      for (const [field, { type, adopted }] of fields) yield { table, field, type, adopted };
  }

  #set(entry: FieldEntry, changes: number): boolean {
    const isKept = this.#put(entry, changes);
    if (isKept) this.#note(entry);
    return isKept;
  }

  #put({ table, field, type, adopted }: FieldEntry, changes: number): boolean {
    const fields = this.#tables.get(table) ?? new Map<string, Known>();
    if (!fields.has(field)) {
      const length = field.length + (fields.size === 0 ? table.length : 0);
      if (this.#fields >= FIELDS_MAX || this.#names + length > NAMES_MAX) return false;
      this.#fields++;
      this.#names += length;
      this.#tables.set(table, fields);
    }
    fields.set(field, { type, adopted, changes });
    if (adopted) this.#adopted.add(table);
    return true;
  }
}
