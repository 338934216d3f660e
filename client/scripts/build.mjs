// npm run build [-- APP…]: builds the front-ends to packages/<app>/ui/dist and the library for
// /common/ to packages/common-api/ui/dist.
import { cp, readFile, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { alias, appConfig } from "../vite/app.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv.slice(2);

const exists = (path) => stat(path).then(() => true, () => false);

async function buildApp(app) {
  const ui = join(root, "packages", app, "ui");
  const { polis = {} } = JSON.parse(await readFile(join(ui, "package.json"), "utf8"));
  if (polis.static) {
    // A page that needs no building: its files are served as they are.
    await rm(join(ui, "dist"), { recursive: true, force: true });
    await cp(join(ui, "page"), join(ui, "dist"), { recursive: true });
  } else {
    await build(appConfig({ root: ui, pages: polis.pages ?? [] }));
  }
}

async function buildCommon() {
  await build({
    configFile: false,
    root: dirname(fileURLToPath(new URL("../package.json", import.meta.url))),
    logLevel: "warn",
    resolve: { alias },
    build: {
      outDir: join(root, "packages/common-api/ui/dist/common"),
      emptyOutDir: true,
      target: "es2022",
      lib: { entry: "common/library.ts", formats: ["es"], fileName: () => "common-lib.js" },
    },
  });
}

const apps = [];
for (const app of (await readdir(join(root, "packages"))).sort())
  if (await exists(join(root, "packages", app, "ui", "package.json"))) apps.push(app);

const unknown = wanted.filter((app) => !apps.includes(app) && app !== "common");
if (unknown.length > 0) {
  console.error(`no such front-end: ${unknown.join(", ")}; there are ${apps.join(", ")}, common`);
  process.exit(2);
}
for (const app of apps) {
  if (wanted.length > 0 && !wanted.includes(app)) continue;
  await buildApp(app);
  console.log(`built ${app}`);
}
if (wanted.length === 0 || wanted.includes("common")) {
  await buildCommon();
  console.log("built common");
}
