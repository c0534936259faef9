/**
 * The page for browsers as a module of the server: bundled, minified, compressed.
 *
 * `deno task page` writes the module. It holds a digest of its sources, by which a test sees that it is not older.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { encodeBase64 } from "@std/encoding/base64";
import { encodeHex } from "@std/encoding/hex";
import config from "../deno.json" with { type: "json" };
import { FerryError } from "../lib/core/errors.ts";
import { PROJECT } from "./program.ts";
import { reasonOf, runDeno } from "./run.ts";

/** The module, relative to the project's directory. */
export const MODULE = "server/protocols/http/page/parts.ts";

/** What is bundled: the worker first, since the script has the name of its file. */
const WORKER = "page/upload/md5_worker.ts";
const SCRIPT = "page/main.tsx";
const STYLE = "page/style/main.css";
const SHELL = "page/shell.html";
const ICON = "page/icon.svg";

/** What the sources call the worker's file: the bundle has the file's name instead. */
const WORKER_NAME = "md5_worker.js";

/** The packages that are bundled with the page, by their names in deno.json. */
const PACKAGES = /^(preact|@preact\/signals)\b/;

/** What the page is made of. */
export interface PageSources {
  /** The paths of the sources, relative to the project's directory. */
  readonly inputs: readonly string[];
  /** The SHA-256 of them and of the versions of the packages, in hexadecimal. */
  readonly digest: string;
}

/** The files in a directory of the project and in those below it. */
function filesIn(directory: string): string[] {
  return [...Deno.readDirSync(PROJECT + directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${directory}/${name}`) : [`${directory}/${name}`]
  );
}

/**
 * The sources of the page as they are now.
 *
 * @param imported sources outside of `page` that it imports
 */
export async function pageSources(imported: readonly string[]): Promise<PageSources> {
  const inputs = [...filesIn("page"), ...imported].sort();
  const packages = Object.entries(config.imports).filter(([name]) => PACKAGES.test(name));
  const texts = inputs.map((path) => [path, Deno.readTextFileSync(PROJECT + path)]);
  return { inputs, digest: await sha256(JSON.stringify([packages, texts])) };
}

/** The sources outside of `page` that a module imports. */
async function importedBy(entry: string): Promise<string[]> {
  const { modules } = JSON.parse(await deno("info", "--json", entry)) as {
    modules: { local?: string }[];
  };
  return modules.flatMap(({ local }) => local?.startsWith(PROJECT) ? local : [])
    .map((path) => path.slice(PROJECT.length).replaceAll("\\", "/"))
    .filter((path) => !path.startsWith("page/"));
}

async function deno(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await runDeno(args, { cwd: PROJECT });
  if (!success) throw new FerryError("io", reasonOf(stderr), { action: `run deno ${args[0]}` });
  return stdout;
}

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  return encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

async function bundled(entry: string): Promise<string> {
  return await deno("bundle", "--quiet", "--platform", "browser", "--minify", entry);
}

/** The name of a part: its content decides it, so that browsers may keep the part for ever. */
async function nameOf(stem: string, extension: string, text: string): Promise<string> {
  return `${stem}-${(await sha256(text)).slice(0, 12)}.${extension}`;
}

/** Bundles the page, and returns its parts by their names: `shell` is the document, the others are named in it. */
async function parts(): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  const add = async (stem: string, extension: string, text: string) => {
    const name = await nameOf(stem, extension, text);
    texts[name] = text;
    return name;
  };
  const worker = await add("md5", "js", await bundled(WORKER));
  const script = await bundled(SCRIPT);
  if (!script.includes(WORKER_NAME)) throw new FerryError("internal", "the page has no worker");
  const names: Record<string, string> = {
    SCRIPT: await add("main", "js", script.replaceAll(WORKER_NAME, worker)),
    STYLE: await add("main", "css", await bundled(STYLE)),
    ICON: await add("icon", "svg", Deno.readTextFileSync(PROJECT + ICON)),
  };
  const shell = Deno.readTextFileSync(PROJECT + SHELL)
    .replaceAll(/%(SCRIPT|STYLE|ICON)%/g, (_, name) => names[name]!);
  return { shell, ...texts };
}

/** Writes {@linkcode MODULE}, and returns the compressed size of the whole page in bytes. */
async function write(): Promise<number> {
  const imported = [...new Set([...await importedBy(SCRIPT), ...await importedBy(WORKER)])];
  const sources = await pageSources(imported);
  let size = 0;
  const packed = Object.entries(await parts()).map(([name, text]) => {
    const bytes = gzipSync(text, { level: 9 });
    size += bytes.length;
    return `  ${JSON.stringify(name)}:\n    "${encodeBase64(bytes)}",\n`;
  });
  Deno.writeTextFileSync(
    PROJECT + MODULE,
    `/**
 * The parts of the page, which \`deno task page\` makes from the folder \`page\`. It is one file because no person edits it.
 *
 * @module
 */

/** The sources that the parts were made from, and a digest of them. */
export const SOURCES: { readonly inputs: readonly string[]; readonly digest: string } = ${
      JSON.stringify(sources)
    };

/** Each part by its name: compressed by gzip, in Base64. */
export const PARTS: Readonly<Record<string, string>> = {
${packed.join("")}};
`,
  );
  await deno("fmt", "--quiet", MODULE);
  return size;
}

if (import.meta.main) console.log(`${MODULE}: ${await write()} bytes compressed`);
