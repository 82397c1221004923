import fc from "fast-check";

/** Before each test file: properties meet the same cases in each run, so that none fails by chance; with WEIR_FUZZ other ones every time. */
if (process.env["WEIR_FUZZ"] === undefined) fc.configureGlobal({ seed: 1 });
