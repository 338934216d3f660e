// npm run check-vectors -- FILE…: checks the format library against vector files; names each case that fails, and sums up.
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: npm run check-vectors -- FILE…");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const { module } = await runnerImport(`${here}/../format/conformance.ts`, { configFile: false, logLevel: "error" });
let passed = 0, failed = 0;
for (const file of files) {
  const fail = (what) => {
    console.log(`${file}: ${what}`);
    failed += 1;
  };
  let content;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    fail(error.message);
    continue;
  }
  let outcome;
  try {
    outcome = module.checkVectors(content);
  } catch (error) {
    fail(`the file is not of its form: ${error.message}`);
    continue;
  }
  outcome.failures.forEach(fail);
  passed += outcome.passed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
