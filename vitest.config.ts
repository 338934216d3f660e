import { defineConfig } from "vitest/config";
import { alias } from "./client/vite/app.mjs";

// The front-ends' unit tests; those in a browser are in tests/browser.
export default defineConfig({
  resolve: { alias },
  test: { include: ["client/**/*.test.ts", "packages/*/ui/**/*.test.ts"], exclude: ["**/node_modules/**", "**/dist/**"] },
});
