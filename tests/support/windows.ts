/**
 * Makes this Deno behave like Deno on Windows, as far as ferry can tell: what `--preload` is given where
 * the programs are to run as they would there. Of a path `C:\a\b` it takes `/a/b`; names that Windows would
 * read in a way of its own make it fail, for a program that lets them come so far would do harm there.
 *
 * @module
 */

/** Functions of one path that are the same on every system once they have it. */
const OF_PATHS = [
  "linkSync",
  "lstatSync",
  "mkdirSync",
  "open",
  "openSync",
  "readDir",
  "readDirSync",
  "readFileSync",
  "readTextFileSync",
  "removeSync",
  "renameSync",
  "statSync",
  "truncateSync",
  "writeTextFileSync",
] as const;

type AnyFunction = (...args: unknown[]) => unknown;

const original = { ...Deno };

Object.defineProperty(Deno, "build", { value: { ...Deno.build, os: "windows" } });
const replace = (name: string, by: AnyFunction) => Object.assign(Deno, { [name]: by });

/** What a path of Windows leads to here. */
function here(path: unknown): unknown {
  if (typeof path !== "string") return path;
  const plain = path.replace(/^[A-Za-z]:(?=[/\\])/, "").replaceAll("\\", "/");
  for (const part of plain.split("/")) {
    if (/[:<>"|?*]/.test(part) || part !== "." && part !== ".." && /[. ]$/.test(part)) {
      throw new Error(`Windows reads the name ${JSON.stringify(part)} in its own way`);
    }
  }
  return plain;
}

/** How Windows writes a path of this system. */
function there(path: string): string {
  return `C:${path.replaceAll("/", "\\")}`;
}

for (const name of OF_PATHS) {
  const function_ = original[name] as AnyFunction;
  replace(name, (...args) => {
    const opens = name === "open" || name === "openSync";
    // Two of them take two paths.
    const mapped = name === "linkSync" || name === "renameSync"
      ? args.map(here)
      : [here(args[0]), ...args.slice(1)];
    if (opens && isDirectory(String(mapped[0]))) throw new Deno.errors.PermissionDenied();
    const result = function_(...mapped);
    return name === "statSync" || name === "lstatSync"
      ? infoThere(result as Deno.FileInfo)
      : result;
  });
}

const { statSync } = original.FsFile.prototype;
original.FsFile.prototype.statSync = function () {
  return infoThere(statSync.call(this));
};

replace("realPathSync", (path) => there(original.realPathSync(String(here(path)))));
replace("makeTempFileSync", (options) => {
  const { dir, ...rest } = options as Deno.MakeTempOptions;
  return there(original.makeTempFileSync({ ...rest, dir: String(here(dir)) }));
});
replace("cwd", () => there(original.cwd()));
replace("chmodSync", () => {
  throw new Deno.errors.NotSupported("chmod");
});
replace("addSignalListener", (signal, listener) => {
  if (signal !== "SIGINT" && signal !== "SIGBREAK") {
    throw new TypeError(`Windows only supports ctrl-c (SIGINT) and ctrl-break (SIGBREAK)`);
  }
  // A test has no Ctrl-Break to send.
  const stands = signal === "SIGBREAK" ? "SIGTERM" : "SIGINT";
  original.addSignalListener(stands, listener as () => void);
});

function isDirectory(path: string): boolean {
  try {
    return original.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** What Deno may leave out of it there. */
function infoThere(info: Deno.FileInfo): Deno.FileInfo {
  return { ...info, mode: null, ino: null };
}
