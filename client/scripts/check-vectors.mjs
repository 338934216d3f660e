// npm run check-vectors -- FILE…: checks the format library against vector files; prints one line a file.
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: npm run check-vectors -- FILE…");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const { module } = await runnerImport(`${here}/../format/conformance.ts`, { configFile: false, logLevel: "error" });
let failed = false;
for (const file of files) {
  const outcome = module.checkVectors(basename(file), JSON.parse(await readFile(file, "utf8")));
  if (!outcome) {
    console.log(`${basename(file)}: not covered`);
    continue;
  }
  console.log(`${basename(file)}: ${outcome.passed} passed, ${outcome.failures.length} failed`);
  for (const failure of outcome.failures) console.log(`  ${failure}`);
  failed ||= outcome.failures.length > 0;
}
process.exit(failed ? 1 : 0);
