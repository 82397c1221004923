import { isRecord } from "./syntax-tree.ts";

/** DuckDB's names for what InfluxDB's SQL calls otherwise. */
const RENAMED: Readonly<Record<string, string>> = { count_star: "count", mean: "avg" };

/**
 * What InfluxDB 3 calls the columns of a SELECT, one for each item of its list: `count(*)`, `avg(home.temp)`, `Int64(1)`. Undefined
 * where an item has a name of its own, or where the name would need more than the text of the query (a join, a star).
 */
export function resultNames(node: unknown): (string | undefined)[] {
  if (!isRecord(node) || !Array.isArray(node.select_list)) return [];
  const table = tableName(node.from_table);
  return node.select_list.map((item: unknown) => {
    if (!isRecord(item) || item.alias !== "" || item.class === "COLUMN_REF") return undefined;
    return nameOf(item, table);
  });
}

/** The one table of FROM by the name that the query gives it; empty where there is none. */
function tableName(from: unknown): string | undefined {
  if (!isRecord(from)) return undefined;
  if (from.type === "EMPTY") return "";
  if (from.type !== "BASE_TABLE") return undefined;
  return String(from.alias === "" ? from.table_name : from.alias);
}

function nameOf(node: unknown, table: string | undefined): string | undefined {
  if (!isRecord(node)) return undefined;
  if (node.class === "COLUMN_REF") return columnName(node.column_names, table);
  if (node.class === "CONSTANT") return constantName(node.value);
  if (node.class !== "FUNCTION" || node.is_operator === true || !Array.isArray(node.children))
    return undefined;
  const given = String(node.function_name);
  const args = given === "count_star" ? ["*"] : node.children.map((one) => nameOf(one, table));
  if (args.includes(undefined)) return undefined;
  const distinct = node.distinct === true ? "DISTINCT " : "";
  return `${RENAMED[given] ?? given}(${distinct}${args.join(",")})`;
}

function columnName(names: unknown, table: string | undefined): string | undefined {
  if (!Array.isArray(names)) return undefined;
  if (names.length > 1) return names.slice(-2).join(".");
  return table === undefined || table === "" ? undefined : `${table}.${names[0]}`;
}

function constantName(value: unknown): string | undefined {
  if (!isRecord(value) || value.is_null !== false || !isRecord(value.type)) return undefined;
  switch (value.type.id) {
    case "INTEGER":
    case "BIGINT":
      return `Int64(${value.value})`;
    case "VARCHAR":
      return `Utf8(${JSON.stringify(value.value)})`;
    case "BOOLEAN":
      return `Boolean(${value.value})`;
    default:
      return undefined;
  }
}
