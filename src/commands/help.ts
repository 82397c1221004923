const HELP = `Weir: an OpenTelemetry Collector-compatible service for function platforms.

Usage
  weir --config <file> [--config <file> …] [--set a.b=value …]   run the service
  weir <command> [flags]

Commands
  validate       check a configuration: every mistake and every warning with its line; silent when there is none
  components     what is built in, as YAML
  print-config   the merged configuration; --mode=unredacted shows secrets, --format=json
  query          ask the embedded store: weir query "SELECT * FROM logs LIMIT 10"
  series         the tables that rows are made by: series list, series show <table>, series check <file>
  store          run the embedded store alone
  dead-letter    what destinations rejected for good: dead-letter list, show, replay, drop
  where          what became of an item: weir where <trace_id | execution_id | request_id>
  replay         sends what is retained again: weir replay --from 2h --to influxdb/new
  journal        the queues on disk: journal list, journal drop <route>
  lambda-extension   inside of AWS Lambda: delivers what a function says (docs/from/lambda.md)
  help, version  this text; the version

Flags
  --config <file or URI>   configuration; several are merged, later ones win (file:, env:, yaml:)
  --set <a.b.c=value>      one option, wins over all files
  --help, --version

In a clone: npm start, or npm run weir -- validate --config otel-config.yaml
`;

/** Prints how to use the command line. */
export function printHelp(write: (text: string) => void): number {
  write(HELP);
  return 0;
}
