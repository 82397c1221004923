import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..", "..");

test("the parts of the service load without Node's fetch", () => {
  const code = `const { createComponents } = await import(${JSON.stringify(join(ROOT, "src/components.ts"))});
    await createComponents();
    await import(${JSON.stringify(join(ROOT, "src/service/service.ts"))});
    console.log(process.moduleLoadList.filter((name) => name.includes("deps/undici")).length)`;
  const loaded = execFileSync(process.execPath, ["--input-type=module", "-e", code]);
  expect(loaded.toString().trim()).toBe("0");
});

test("of the service, only kit/server/node-http.ts takes values of node:http", () => {
  const files = globSync("src/**/*.ts", { cwd: ROOT }).filter(
    (file) => !file.startsWith("src/store/"),
  );
  expect(files.length).toBeGreaterThan(100);
  const importing = files.filter((file) =>
    /^import (?!type )[^;]*from "node:http";/m.test(readFileSync(join(ROOT, file), "utf8")),
  );
  expect(importing).toEqual([]);
});
