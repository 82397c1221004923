/** Indexes four million parts of one body in a heap that has no room for an object each. */
import { createIndexer } from "../../src/otlp/indexing.ts";
import { CROOKED, type Huge } from "./huge.ts";

const { make } = CROOKED["empty parts of a body"] as Huge;
const bytes = make(8 << 20);
const indexed = createIndexer().index("logs", bytes, bytes.length);
process.stdout.write("refused" in indexed ? indexed.why : `${indexed.rejected} rejected`);
