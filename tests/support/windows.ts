/**
 * Makes this Deno behave like Deno on Windows, as far as ferry can tell. It is passed to `--preload` to run the
 * programs as they would run there. A path `C:\a\b` is mapped to `/a/b`. Names that Windows would interpret in a
 * special way make the call fail, since a program that passes them on would do harm there.
 *
 * @module
 */

/** Functions of one path that behave the same on every system once the path is mapped. */
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

/** The path on this system for a path of Windows. */
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

/** The path of Windows for a path of this system. */
function there(path: string): string {
  return `C:${path.replaceAll("/", "\\")}`;
}

for (const name of OF_PATHS) {
  const function_ = original[name] as AnyFunction;
  replace(name, (...args) => {
    const opens = name === "open" || name === "openSync";
    // These two functions take two paths.
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
  // A test cannot send Ctrl-Break, so another signal stands in for it.
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

/** The fields that Deno may leave out of file information on Windows. */
function infoThere(info: Deno.FileInfo): Deno.FileInfo {
  return { ...info, mode: null, ino: null };
}
