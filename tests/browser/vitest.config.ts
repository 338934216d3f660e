import { defineConfig } from "vitest/config";
import { alias } from "../../client/vite/app.mjs";

export default defineConfig({
  resolve: { alias },
  test: { include: ["**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false },
});
