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

const OPTIONS = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  sourcemap: true,
  target: "es2022",
  mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`),
  write: false, // the source maps name the sources as seen from dist/, wherever they are written to
};

/** Each with its source map. */
const SERVED = [
  await build({ ...OPTIONS, entryPoints: ["src/index.js"], format: "esm", outfile: "dist/client.js" }),
  await build({ ...OPTIONS, entryPoints: ["src/global.js"], format: "iife", outfile: "dist/client.iife.js" }),
].flatMap(({ outputFiles }) => outputFiles);

const [folder] = process.argv.slice(2);
rmSync(join(HERE, "dist"), { recursive: true, force: true }); // also what is not built any more
for (const into of folder === undefined ? [join(HERE, "dist"), STATIC] : [folder]) {
  mkdirSync(into, { recursive: true });
  for (const { path, contents } of SERVED) writeFileSync(join(into, basename(path)), contents);
}
