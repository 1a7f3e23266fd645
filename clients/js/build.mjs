/**
 * Builds the client: `node build.mjs [FOLDER]`.
 *
 * Without a folder it writes what npm gets to `dist/`, and what `{% realtime_client %}` serves to the
 * static files of the Django app, byte for byte the same. Those are committed, so that a Django project
 * needs no Node; a test holds that they are what this makes of the sources. With a folder all goes there.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "../../realtime/static/realtime");

/** Members that only the client's own files call, and no browser or protocol has: they get short names. */
const INTERNAL = [
  "abandon", "accept", "ask", "beat", "check", "complete", "dataAge", "deliveries", "emit", "fail",
  "fetchesToken", "forget", "heard", "hearsErrors", "hold", "interval", "joinAll", "leave", "mayRenewToken",
  "onDead", "onEnd", "onError", "onLag", "onMessage", "onReady", "overhear", "patience", "pongLate", "putOut",
  "ready", "refusals", "refuse", "renewSignIn", "renewToken", "settle", "start", "stop", "tell",
];

/** Each a way into the package of its own; what it is for comes from the application. */
const FRAMEWORKS = ["react", "vue", "svelte"];

/** What `import("./NAME.js")` in the sources fetches is a file of its own. */
const PARTS = ["shared", "sse"];

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

/**
 * Bundle with esbuild; terser then takes another 4 % off what goes over the wire.
 * @param {string} source @param {string} name @param {import("esbuild").BuildOptions} [more]
 * @returns {Promise<[string, string][]>} Names and contents of a file and its source map.
 */
async function built(source, name, more = {}) {
  const outfile = `dist/${name}.js`;
  const entryPoints = [`src/${source}.js`];
  const { outputFiles } = await build({ ...OPTIONS, entryPoints, outfile, ...more });
  const text = (/** @type {string} */ end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
  const { code, map } = await minify(text(".js"), {
    compress: { passes: 3, pure_getters: true, unsafe_methods: true, keep_fargs: false },
    ecma: 2020,
    module: true,
    sourceMap: { content: text(".map"), includeSources: true, url: `${name}.js.map` },
  });
  return [
    [`${name}.js`, code],
    [`${name}.js.map`, map],
  ];
}

/** Not esbuild's own format "iife", which has no `import()` and carries a substitute for it. */
const SCRIPT = { banner: { js: "(()=>{" }, footer: { js: "})();" } };

/** Each with its source map. */
const FILES = await Promise.all([
  built("index", "client"),
  built("global", "client.iife", SCRIPT),
  built("element", "element", { external: ["./client.js"] }), // which stands beside it
  ...PARTS.map((part) => built(part, `client-${part}`)),
]);

/** What only npm's package has. */
const FOR_NPM = await Promise.all(
  FRAMEWORKS.map((framework) => built(framework, framework, { external: FRAMEWORKS })),
);

const [folder] = process.argv.slice(2);
if (folder === undefined) rmSync(join(HERE, "dist"), { recursive: true, force: true });
write(folder ?? join(HERE, "dist"), [...FILES, ...FOR_NPM]);
if (folder === undefined) write(STATIC, FILES);

/** @param {string} into @param {[string, string][][]} files */
function write(into, files) {
  mkdirSync(into, { recursive: true });
  for (const [name, contents] of files.flat()) writeFileSync(join(into, name), contents);
}
