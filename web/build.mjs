// Bundles the dashboard: node build.mjs --out DIR [--src DIR] [--c FILE]
//
// --out gets the files as a browser sees them (for `hostpair --web-root DIR`), --c the same files gzip-coded as a C
// table that implements assets.h. Names hold a hash of the content, so a browser may keep everything but index.html.
// Fails when the first load is too heavy, when the dictionaries differ, or when anything but api.ts calls fetch.
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

/** Bytes over the wire, gzip-coded, before the first view is on the screen. */
const FIRST_LOAD_MAX = 60_000;

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    src: { type: "string", default: path.join(here, "src") },
    out: { type: "string" },
    c: { type: "string" },
  },
});
if (!options.out) {
  console.error("build.mjs: --out DIR is missing");
  process.exit(2);
}
const src = path.resolve(options.src);
const out = path.resolve(options.out);

/** What esbuild needs to know for every bundle; packages are looked up beside this script, wherever src is. */
const common = {
  bundle: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  nodePaths: [path.join(here, "node_modules")],
  absWorkingDir: src,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

function contentHash(bytes) {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

/** gzip without a time stamp or a system's name, so that the same sources give the same bytes everywhere. */
function gzip(bytes) {
  const coded = gzipSync(bytes, { level: 9 });
  coded.fill(0, 4, 8);
  coded[9] = 255;
  return coded;
}

/** Files of src/i18n that hold no texts, or texts of their own: the types see to it that those have them all. */
const NO_DICTIONARIES = ["index.ts", "languages.ts", "orders.ts", "push.ts", "share.ts"];

/** Every language must offer the texts of English with the same placeholders. */
async function checkDictionaries() {
  const load = async (name) => {
    const result = await esbuild.build({
      ...common,
      entryPoints: [path.join(src, "i18n", name)],
      write: false,
    });
    const code = Buffer.from(result.outputFiles[0].contents).toString("base64");
    return (await import(`data:text/javascript;base64,${code}`)).default;
  };
  const files = (await fs.readdir(path.join(src, "i18n"))).filter((name) => !NO_DICTIONARIES.includes(name));
  const placeholders = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join(" ");
  const faults = [];
  const en = await load("en.ts");
  for (const file of files) {
    const texts = await load(file);
    for (const key of new Set([...Object.keys(en), ...Object.keys(texts)])) {
      if (!(key in en)) faults.push(`${key}: missing in en.ts`);
      else if (!(key in texts)) faults.push(`${key}: missing in ${file}`);
      else if (placeholders(en[key]) !== placeholders(texts[key]))
        faults.push(`${key}: placeholders differ in ${file}`);
    }
  }
  if (faults.length > 0) throw new Error(`the dictionaries differ:\n  ${faults.join("\n  ")}`);
}

async function* walk(folder) {
  for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(full);
    else yield full;
  }
}

/** Requests leave the page in one place, and text from other hosts never becomes markup. */
async function checkSources() {
  const faults = [];
  for await (const file of walk(src)) {
    if (!/\.tsx?$/.test(file)) continue;
    const text = await fs.readFile(file, "utf8");
    const name = path.relative(src, file);
    if (name !== "api.ts" && /\bfetch\(|XMLHttpRequest|new EventSource/.test(text)) {
      faults.push(`${name}: only api.ts may send requests`);
    }
    if (/innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(text)) {
      faults.push(`${name}: writes markup from a string`);
    }
  }
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

async function bundle() {
  const result = await esbuild.build({
    ...common,
    entryPoints: { app: path.join(src, "main.tsx"), style: path.join(src, "style/main.css") },
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: out,
    entryNames: "[name]-[hash]",
    chunkNames: "part-[hash]",
  });
  const files = new Map();
  for (const file of result.outputFiles) files.set(path.relative(out, file.path), Buffer.from(file.contents));

  const named = new Map();
  for (const [name, meta] of Object.entries(result.metafile.outputs)) named.set(path.basename(name), meta);
  const entry = (ext) =>
    [...named].find(
      ([name, meta]) => meta.entryPoint && name.startsWith(ext === ".css" ? "style-" : "app-"),
    )[0];
  const js = entry(".js");
  const css = entry(".css");
  const preload = new Set();
  const follow = (name) => {
    for (const used of named.get(name).imports) {
      const next = path.basename(used.path);
      if (used.kind === "import-statement" && !preload.has(next)) {
        preload.add(next);
        follow(next);
      }
    }
  };
  follow(js);

  const icon = await fs.readFile(path.join(src, "icon.svg"));
  const iconName = `icon-${contentHash(icon).slice(0, 8)}.svg`;
  files.set(iconName, icon);

  const html = (await fs.readFile(path.join(src, "index.html"), "utf8"))
    .replace("%icon%", `/${iconName}`)
    .replace("%css%", `/${css}`)
    .replace("%js%", `/${js}`)
    .replace(
      "%preload%",
      [...preload].map((name) => `<link rel="modulepreload" href="/${name}" />`).join("\n    "),
    );
  const page = Buffer.from(html);
  const first = [page, files.get(css), files.get(js), ...[...preload].map((name) => files.get(name))];
  const weight = first.reduce((sum, bytes) => sum + gzip(bytes).length, 0);
  return { page, files, weight };
}

function cString(text) {
  return JSON.stringify(text);
}

/** The generated C file: one byte array a file, and the table over them. */
function toC(assets) {
  const parts = ['/* Generated by web/build.mjs; do not edit. */\n#include "web/assets.h"\n'];
  assets.forEach(({ coded }, index) => {
    parts.push(`\nstatic const uint8_t asset_${index}[${coded.length}] = {`);
    for (let at = 0; at < coded.length; at += 32) parts.push(`${coded.subarray(at, at + 32).join(",")},`);
    parts.push("};\n");
  });
  parts.push("\nconst hp_asset_t hp_assets[] = {");
  assets.forEach(({ url, type, etag, coded, size, immutable }, index) => {
    parts.push(
      `    {${cString(url)}, ${cString(type)}, ${cString(etag)}, asset_${index}, ${coded.length}, ${size}, ${immutable}},`,
    );
  });
  parts.push("};", `\nconst size_t hp_assets_count = ${assets.length};`, "");
  return parts.join("\n");
}

async function main() {
  await Promise.all([checkDictionaries(), checkSources()]);
  const { page, files, weight } = await bundle();
  if (weight > FIRST_LOAD_MAX) {
    throw new Error(`the first load is ${weight} bytes compressed; at most ${FIRST_LOAD_MAX} are allowed`);
  }

  await fs.rm(out, { recursive: true, force: true });
  await fs.mkdir(out, { recursive: true });
  const assets = [];
  const add = async (name, bytes, immutable) => {
    await fs.writeFile(path.join(out, name), bytes);
    assets.push({
      url: name === "index.html" ? "/" : `/${name}`,
      type: TYPES[path.extname(name)],
      etag: `"${contentHash(bytes)}"`,
      coded: gzip(bytes),
      size: bytes.length,
      immutable,
    });
  };
  await add("index.html", page, false);
  for (const [name, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) await add(name, bytes, true);
  if (options.c) await fs.writeFile(options.c, toC(assets));
  const total = assets.reduce((sum, asset) => sum + asset.coded.length, 0);
  console.log(`dashboard: first load ${weight} bytes, all ${assets.length} files ${total} bytes, compressed`);
}

try {
  await main();
} catch (error) {
  console.error(`build.mjs: ${error.message}`);
  process.exit(1);
}
