/**
 * Builds the client: `node build.mjs [FOLDER]`.
 *
 * Without a folder it writes what npm gets to `dist/`, and what `{% realtime_client %}` serves to the
 * static files of the Django app, byte for byte the same. Those are committed, so that a Django project
 * needs no Node; a test holds that they are what this makes of the sources. With a folder all goes there.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "../../realtime/static/realtime");

/** Members that only the client's own files call, and no browser or protocol has: they get short names. */
const INTERNAL = [
  "abandon", "accept", "beat", "check", "complete", "dataAge", "deliveries", "fail", "fetchesToken", "forget",
  "heard", "hold", "interval", "joinAll", "mayRenewToken", "onDead", "onEnd", "onError", "onLag", "onMessage",
  "onReady", "overhear", "pongLate", "putOut", "ready", "refuse", "renewToken", "request", "settle", "start",
];

/** What `import("./NAME.js")` in the sources fetches is a file of its own. */
const PARTS = ["shared"];

const partsApart = {
  name: "parts apart",
  /** @param {import("esbuild").PluginBuild} build */
  setup(build) {
    const filter = new RegExp(`^\\./(${PARTS.join("|")})\\.js$`);
    build.onResolve({ filter }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path: path.replace("./", "./client-"), external: true } : null,
    );
  },
};

const OPTIONS = {
  plugins: [partsApart],
  absWorkingDir: HERE,
  bundle: true,
  format: "esm",
  minify: true,
  sourcemap: true,
  target: "es2022",
  mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`),
  write: false, // the source maps name the sources as seen from dist/, wherever they are written to
};

/** @param {string} source @param {string} name @param {import("esbuild").BuildOptions} [more] */
async function built(source, name, more = {}) {
  const outfile = `dist/${name}.js`;
  const built = await build({ ...OPTIONS, entryPoints: [`src/${source}.js`], outfile, ...more });
  return built.outputFiles;
}

/** Not esbuild's own format "iife", which has no `import()` and carries a substitute for it. */
const SCRIPT = { banner: { js: '"use strict";(()=>{' }, footer: { js: "})();" } };

/** Each with its source map. */
const FILES = await Promise.all([
  built("index", "client"),
  built("global", "client.iife", SCRIPT),
  ...PARTS.map((part) => built(part, `client-${part}`)),
]);

const [folder] = process.argv.slice(2);
if (folder === undefined) rmSync(join(HERE, "dist"), { recursive: true, force: true });
for (const into of folder === undefined ? [join(HERE, "dist"), STATIC] : [folder]) {
  mkdirSync(into, { recursive: true });
  for (const { path, contents } of FILES.flat()) writeFileSync(join(into, basename(path)), contents);
}
