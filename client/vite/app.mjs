import { fileURLToPath } from "node:url";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import react from "@vitejs/plugin-react";

const client = fileURLToPath(new URL("..", import.meta.url));

/** The `@polis/client/…` modules, for every build and for the tests. */
export const alias = [{ find: /^@polis\/client\/(format|common|ui)$/, replacement: `${client}$1/index.ts` }];

/**
 * Vite's configuration of one app.
 * root: the app's ui folder. pages: further paths, such as "connect", which serve the same page.
 */
export function appConfig({ root, pages = [] }) {
  return {
    configFile: false,
    root,
    logLevel: "warn",
    resolve: { alias },
    plugins: [react(), pagesPlugin(pages)],
    build: { outDir: "dist", emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  };
}

/** The node serves PATH/index.html for PATH; each page of an app is the same document. */
function pagesPlugin(pages) {
  let out = "";
  return {
    name: "polis-pages",
    configResolved(config) {
      out = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const page of pages) {
        const target = join(out, page, "index.html");
        await mkdir(dirname(target), { recursive: true });
        await copyFile(join(out, "index.html"), target);
      }
    },
  };
}
