// The front-ends' unit tests, then what people do in a browser. The last line counts, as ./test expects.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "polis-suite-"));
const total = { passed: 0, failed: 0, skipped: 0 };

const run = (name, args) => {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  return { name, status };
};

const checked = run("types", ["node_modules/typescript/bin/tsc", "-p", "."]);
if (checked.status === 0) total.passed += 1;
else total.failed += 1;

for (const folder of [".", "tests/browser"]) {
  const report = join(scratch, "report.json");
  const { status } = run(folder, ["node_modules/vitest/vitest.mjs", "run", "--root", folder, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]);
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests = 0, numFailedTestSuites } = JSON.parse(readFileSync(report, "utf8"));
    total.passed += numPassedTests;
    // A file that cannot even be loaded counts as one failure.
    total.failed += numFailedTests > 0 || status === 0 ? numFailedTests : Math.max(1, numFailedTestSuites);
    total.skipped += numPendingTests + numTodoTests;
    rmSync(report);
  } catch {
    total.failed += 1;
  }
}
rmSync(scratch, { recursive: true, force: true });
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
