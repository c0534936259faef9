/**
 * What differs from one operating system to the next, each difference in one place. The rest of ferry asks
 * {@linkcode PLATFORM}, which is chosen when the program starts, and knows no system by its name.
 *
 * How a group of processes is ended is where processes are started; a system's code page where text of other
 * programs is decoded.
 *
 * @module
 */

import { basename as posixBasename } from "@std/path/posix/basename";
import { dirname as posixDirname } from "@std/path/posix/dirname";
import { fromFileUrl as posixFromFileUrl } from "@std/path/posix/from-file-url";
import { globToRegExp as posixGlobToRegExp } from "@std/path/posix/glob-to-regexp";
import { isAbsolute as posixIsAbsolute } from "@std/path/posix/is-absolute";
import { join as posixJoin } from "@std/path/posix/join";
import { parse as posixParse } from "@std/path/posix/parse";
import { basename as windowsBasename } from "@std/path/windows/basename";
import { dirname as windowsDirname } from "@std/path/windows/dirname";
import { fromFileUrl as windowsFromFileUrl } from "@std/path/windows/from-file-url";
import { globToRegExp as windowsGlobToRegExp } from "@std/path/windows/glob-to-regexp";
import { isAbsolute as windowsIsAbsolute } from "@std/path/windows/is-absolute";
import { join as windowsJoin } from "@std/path/windows/join";
import { parse as windowsParse } from "@std/path/windows/parse";

/** Functions on paths, as @std/path has them. */
export interface PathFunctions {
  /** The last part of a path. */
  basename(path: string): string;
  /** A path without its last part. */
  dirname(path: string): string;
  /** The path that a `file:` URL stands for. */
  fromFileUrl(url: URL): string;
  /** What matches the names that a glob matches. */
  globToRegExp(glob: string): RegExp;
  /** Whether a path leads to the same place from everywhere. */
  isAbsolute(path: string): boolean;
  /** One path of several parts. */
  join(...parts: string[]): string;
  /** Takes a path apart. */
  parse(path: string): { root: string };
}

/** What ferry has to know of an operating system. */
export interface Platform {
  /** Its functions on paths. They all take `/` between the parts of a path. */
  readonly path: PathFunctions;
  /** What stands between the parts of a path that a user wrote. */
  readonly separators: RegExp;
  /** The signals that tell a program to end, and its exit status when it has ended by one. */
  readonly interrupts: Readonly<Partial<Record<Deno.Signal, number>>>;
  /** The signal that asks a server to read its files anew; undefined where there is none for that. */
  readonly reload: Deno.Signal | undefined;
  /** Whether a directory can be flushed; where it cannot, the system sees to it that names are durable. */
  readonly flushesDirectories: boolean;
  /** Whether files have permission bits that can be set. */
  readonly permissionBits: boolean;
  /** Whether processes form groups, which can be ended as a whole. */
  readonly processGroups: boolean;
  /** Whether `/proc/self/fd` leads to the files and directories that are open, as on Linux. */
  readonly leadsToDescriptors: boolean;
  /** A path as ferry has it inside: with `/` between its parts. */
  slashed(path: string): string;
  /** Why no file can have that name, without any directory above it; undefined where one can. */
  flawOf(part: string): string | undefined;
}

/** macOS and the BSDs; Linux is as they are but for {@linkcode LINUX}. Deno flushes on macOS with F_FULLFSYNC, so that needs nothing of its own. */
export const POSIX: Platform = {
  path: {
    basename: posixBasename,
    dirname: posixDirname,
    fromFileUrl: posixFromFileUrl,
    globToRegExp: posixGlobToRegExp,
    isAbsolute: posixIsAbsolute,
    join: posixJoin,
    parse: posixParse,
  },
  separators: /\//,
  // 128 and the signal's number, as shells have it.
  interrupts: { SIGINT: 130, SIGTERM: 143 },
  reload: "SIGHUP",
  flushesDirectories: true,
  permissionBits: true,
  processGroups: true,
  leadsToDescriptors: false,
  slashed: (path) => path,
  flawOf: () => undefined,
};

/** Linux. */
export const LINUX: Platform = { ...POSIX, leadsToDescriptors: true };

/** Windows. */
export const WINDOWS: Platform = {
  path: {
    basename: windowsBasename,
    dirname: windowsDirname,
    fromFileUrl: windowsFromFileUrl,
    globToRegExp: windowsGlobToRegExp,
    isAbsolute: windowsIsAbsolute,
    join: windowsJoin,
    parse: windowsParse,
  },
  separators: /[/\\]/,
  // Ctrl-C and Ctrl-Break; SIGTERM cannot be caught there by every version of Deno.
  interrupts: { SIGINT: 130, SIGBREAK: 149 },
  // SIGHUP there says that the window is being closed.
  reload: undefined,
  flushesDirectories: false,
  permissionBits: false,
  processGroups: false,
  leadsToDescriptors: false,
  slashed: (path) => path.replaceAll("\\", "/"),
  flawOf(part) {
    // Among them "\", which would make two parts of one, and ":", which names a stream of another file.
    const character = /[\\:<>"|?*]/.exec(part)?.[0];
    if (character) return `the name contains ${character}, which no name on Windows may`;
    if (/\p{Cc}/u.test(part)) return "the name contains a control character";
    // Windows drops them, and so would find another file.
    if (/[. ]$/.test(part)) return "a part of the name ends with a dot or a space";
    if (DEVICE.test(part)) return `"${part}" is a device on Windows`;
    // The names of 8 letters that Windows also finds ".ferry" and ".ferry-staging" under.
    if (/^fe(rry-?|[0-9a-f]{4})~\d+$/i.test(part)) {
      return "it may be a short name of ferry's own files";
    }
    return undefined;
  },
};

/** Names that lead to a device, in whatever directory and with whatever extension. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)/i;

/** The platform of a system that Deno names in `Deno.build.os`. */
export function platformOf(os: string): Platform {
  if (os === "windows") return WINDOWS;
  return os === "linux" || os === "android" ? LINUX : POSIX;
}

/** The platform that this program runs on. */
export const PLATFORM: Platform = platformOf(Deno.build.os);
