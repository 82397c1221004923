/**
 * A series table as data: what config/series/*.yaml says, checked. The forward writers, the way back (row → OTLP item), the store's
 * columns and the docs derive from it. Nothing here knows a table by name.
 */
export interface Table {
  /** Name of the file it came from, for messages. */
  readonly file: string;
  readonly measurement: string;
  readonly doc: string;
  /** `exact` writes times as they are; `spread` keeps items apart that would share measurement, tags and time. */
  readonly identity: "exact" | "spread";
  readonly match: Match;
  /** In the order in which they are written: tags first. */
  readonly columns: readonly Column[];
  /** Columns without which an OTLP item makes no row here. Lines are kept as sent. */
  readonly required: readonly string[];
  /** Undeclared attributes of OTLP items that become tags or fields under their own names. */
  readonly extraTags: readonly string[];
  readonly extraFields: readonly string[];
  /** Ends of names (`_cost`) whose attributes become fields as `extraFields` do; `extra_fields: ["*_cost"]`. */
  readonly extraFieldEnds: readonly string[];
  /** Whether the other undeclared attributes go into the text field `attributes`, as one JSON object. */
  readonly attributes: boolean;
  /** Which attributes of the resource go there too, under a prefix; none where absent. */
  readonly resourceAttributes:
    | { readonly prefix: string; readonly except: readonly string[] }
    | undefined;
  /** The text column that a line's record carries as its body. */
  readonly body: string | undefined;
  /** A text column that is written empty where a row would have no field at all. */
  readonly emptyField: string | undefined;
  /** The tag that becomes the resource's `service.name` on the way back. */
  readonly service: string | undefined;
  /** Which severity number a line's record gets, by the text of one column. */
  readonly severity:
    | { readonly column: string; readonly levels: ReadonlyMap<string, number> }
    | undefined;
  /** Its lines become spans on the way back, where the receiver has a pipeline of traces. */
  readonly spans?: boolean;
  /** For the documentation. */
  readonly example: Example | undefined;
}

/** One line, or one OTLP item with its resource, and a query over the rows that such things make. */
export interface Example {
  readonly of: ExampleItem;
  readonly resource: ReadonlyMap<string, Scalar>;
  readonly query: string;
}

export type Scalar = string | number | boolean;
type Attributes = ReadonlyMap<string, Scalar>;

/** What is not named here is the same in every example: the time, the ids. */
export type ExampleItem =
  | { readonly is: "line"; readonly text: string }
  | {
      readonly is: "log";
      readonly body: string | undefined;
      readonly severityText: string | undefined;
      readonly severityNumber: number | undefined;
      readonly eventName: string | undefined;
      readonly attributes: Attributes;
    }
  | {
      readonly is: "span";
      readonly name: string;
      readonly kind: SpanKind;
      readonly durationMs: number;
      readonly status: SpanStatus | undefined;
      readonly statusMessage: string | undefined;
      readonly attributes: Attributes;
      readonly exception: Attributes;
    }
  | {
      readonly is: "point";
      readonly metric: string;
      readonly unit: string | undefined;
      readonly gauge: number;
      readonly attributes: Attributes;
    };

/** Which OTLP items make a row. Lines, and log records whose `event_name` is the measurement, always do. */
export interface Match {
  readonly logs: LogMatch | undefined;
  readonly spans: SpanMatch | undefined;
  readonly points?: PointMatch | undefined;
}

/**
 * Every data point whose metric's name is no `<table>.<column>`: the measurement is that name, the tags are the point's attributes and
 * the table's tags. The table's own measurement is only its name.
 */
export interface PointMatch {
  /** Behind the name of a metric that is called as a table. */
  readonly clashSuffix: string;
}

/** Every list names attributes of the record itself of which at least one is present and not empty. No list: every record. */
export interface LogMatch {
  readonly oneOfEach: readonly (readonly string[])[];
}

/**
 * As for logs; besides, the kind is one of these, or (with `orNoParent`) the span has no parent. No kinds: any. With `alsoMatches`, only
 * spans that make a row in that table too (whether or not it is written); with conditions, one of them holds.
 */
export interface SpanMatch extends LogMatch {
  readonly kinds: readonly SpanKind[];
  readonly orNoParent: boolean;
  readonly alsoMatches: string | undefined;
  readonly oneOf: readonly Condition[];
}

export const SPAN_KINDS = [
  "unspecified",
  "internal",
  "server",
  "client",
  "producer",
  "consumer",
] as const;
export type SpanKind = (typeof SPAN_KINDS)[number];

export const SPAN_STATUSES = ["unset", "ok", "error"] as const;
export type SpanStatus = (typeof SPAN_STATUSES)[number];

export const COLUMN_KINDS = ["tag", "float", "integer", "boolean", "text"] as const;
export type ColumnKind = (typeof COLUMN_KINDS)[number];

/** Tags and fields that InfluxDB 3 takes in a row (and a table): 500 columns, of which one is the time. */
export const COLUMNS_MAX = 499;

/** One tag or field of a table. */
export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly unit: string | undefined;
  readonly doc: string;
  /** The first that is present gives the value. */
  readonly sources: readonly Source[];
  /** Text is lower-cased, then replaced where this map has it. */
  readonly lowerCase: boolean;
  readonly words: ReadonlyMap<string, string>;
  /** Where no source is present: the first rule that holds and has a value gives it. For lines, only rules with `lines`. */
  readonly otherwise: readonly Rule[];
}

export const PLACES = ["both", "record", "resource", "resource_first"] as const;
/** Where an attribute is looked up. `both`: the record, then its resource. */
export type Place = (typeof PLACES)[number];

/** How an id is written in the source: hex digits, Datadog's hex or decimal, W3C trace context, AWS X-Ray. */
export const ID_FORMS = ["trace_id", "span_id", "datadog", "traceparent", "xray"] as const;
export type IdForm = (typeof ID_FORMS)[number];

/** Other texts that count as absent unless they are well-formed: `GET:/orders`. */
export const TEXT_FORMS = ["method_path"] as const;
export type Form = IdForm | (typeof TEXT_FORMS)[number];

/** What a log record or span itself has, beside attributes. */
export const RECORD_PARTS = ["trace_id", "span_id", "scope_name"] as const;
export const LOG_PARTS = ["body", "severity_text", "severity_number", "event_name"] as const;
export const SPAN_PARTS = [
  "name",
  "kind",
  "status",
  "status_message",
  "parent_span_id",
  "trace_state",
  "duration_ms",
  "duration_s",
  "duration_ns",
  /** Whole milliseconds. */
  "duration_whole_ms",
  "events",
  "links",
] as const;
export type RecordPart = (typeof RECORD_PARTS)[number];
export type LogPart = (typeof LOG_PARTS)[number];
export type SpanPart = (typeof SPAN_PARTS)[number];

/** One place a value may come from. */
export type Source =
  | {
      readonly of: "attribute";
      readonly name: string;
      readonly place: Place;
      /** The value is divided by it: bytes to megabytes. */
      readonly divideBy: number | undefined;
      readonly form: Form | undefined;
      /** Of a list, its first element. */
      readonly firstOfList: boolean;
      /** Spans only: log records have a better source of their own. */
      readonly spansOnly: boolean;
    }
  | { readonly of: "record"; readonly part: RecordPart }
  | { readonly of: "log"; readonly part: LogPart }
  | { readonly of: "span"; readonly part: SpanPart }
  /** An attribute of the span's first `exception` event. */
  | { readonly of: "exception_event"; readonly name: string };

/** A value for a column without a source, where `when` holds. */
export interface Rule {
  readonly gives: Given;
  readonly when: Condition;
  /** Also for lines, where otherwise no column is invented. Only rules of `column`, without a condition. */
  readonly lines: boolean;
  /** Not for log records. */
  readonly spansOnly: boolean;
}

/** Derivations that are no data: each is one function, described in the documentation of the tables. */
export const DERIVATIONS = [
  /** `METHOD:/route` or `RPC:/service/method` of a request, from attributes and the name of its span; see `request-route.ts`. */
  "request_route",
] as const;
export type Derivation = (typeof DERIVATIONS)[number];

/** What a rule gives. */
export type Given =
  | { readonly of: "value"; readonly text: string }
  /** The value of another column, from its sources or rules, as text: a part of it, then its word, `rest` for other words. Nothing where that part is not there. */
  | {
      readonly of: "column";
      readonly column: string;
      readonly before: { readonly text: string; readonly last: boolean } | undefined;
      readonly words: ReadonlyMap<string, string>;
      readonly rest: string | undefined;
    }
  /** Integers of other columns added up. Nothing where one of them is absent, or the sum is over 2^53. */
  | { readonly of: "sum"; readonly columns: readonly string[] }
  | { readonly of: "derivation"; readonly name: Derivation };

/** What a rule or a match asks. A column is looked at by its sources only, not by its rules. */
export type Condition =
  | { readonly test: "always" }
  | { readonly test: "all"; readonly of: readonly Condition[] }
  /** The column's value, as an integer, is, is not, or is at least this one. Absent: false. */
  | {
      readonly test: "is" | "is_not" | "at_least";
      readonly column: string;
      readonly number: number;
    }
  /** The column has a value, and its text is none of these. */
  | { readonly test: "is_none_of"; readonly column: string; readonly texts: readonly string[] }
  /** The text of one of these attributes holds one of these words, in any case. */
  | {
      readonly test: "contains";
      readonly attributes: readonly string[];
      readonly words: readonly string[];
    }
  /** The text of the first of these attributes that is present is one of these. */
  | {
      readonly test: "equals";
      readonly attributes: readonly string[];
      readonly texts: readonly string[];
    }
  /** The record itself has one of these attributes, or none of them. Empty text counts as absent. */
  | { readonly test: "has_one_of" | "has_none_of"; readonly attributes: readonly string[] }
  /** Some attribute of the record starts so. */
  | { readonly test: "has_attribute_prefix"; readonly prefix: string }
  | { readonly test: "severity_at_least"; readonly number: number }
  | { readonly test: "span_status"; readonly status: SpanStatus };
