/**
 * The differences between operating systems, each in one place. The rest of ferry uses {@linkcode PLATFORM}, which is
 * selected when the program starts, and does not depend on names of systems.
 *
 * Two differences are elsewhere: how a process group is ended, where processes are started; and the code page of the
 * system, where text of other programs is decoded.
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

/** Functions on paths, with the signatures of @std/path. */
export interface PathFunctions {
  /** The last component of a path. */
  basename(path: string): string;
  /** A path without its last component. */
  dirname(path: string): string;
  /** The path that a `file:` URL stands for. */
  fromFileUrl(url: URL): string;
  /** The regular expression for a glob. */
  globToRegExp(glob: string): RegExp;
  /** Whether a path is absolute. */
  isAbsolute(path: string): boolean;
  /** Joins parts to one path. */
  join(...parts: string[]): string;
  /** Splits a path into its parts. */
  parse(path: string): { root: string };
}

/** The properties of an operating system that ferry depends on. */
export interface Platform {
  /** Its functions on paths. They all accept `/` as a separator. */
  readonly path: PathFunctions;
  /** The separators in a path that a user wrote. */
  readonly separators: RegExp;
  /** The signals that ask a program to end, each with the exit status after it. */
  readonly interrupts: Readonly<Partial<Record<Deno.Signal, number>>>;
  /** The signal that asks a server to reload its files; undefined if the system has none. */
  readonly reload: Deno.Signal | undefined;
  /** The signal that asks a server to open its log files anew; undefined if the system has none. */
  readonly reopen: Deno.Signal | undefined;
  /** Whether directories can be flushed. If not, the system itself makes names durable. */
  readonly flushesDirectories: boolean;
  /** Whether files have permission bits that can be set. */
  readonly permissionBits: boolean;
  /** Whether every user can make symbolic links, and without saying what they lead to. */
  readonly symbolicLinks: boolean;
  /** Whether there are process groups, which can be ended as a whole. */
  readonly processGroups: boolean;
  /** Whether `/proc/self/fd` leads to the files and directories that are open, as on Linux. */
  readonly leadsToDescriptors: boolean;
  /** Whether the system spreads connections over all processes that listen on an address (SO_REUSEPORT). */
  readonly spreadsConnections: boolean;
  /** Whether programs can listen on sockets that have paths. */
  readonly unixSockets: boolean;
  /** A path in the form that ferry uses internally: with `/` as the separator. */
  slashed(path: string): string;
  /** Why no file can have a certain name, given without directories; undefined if it is possible. */
  flawOf(part: string): string | undefined;
}

/**
 * macOS and the BSDs; {@linkcode LINUX} differs only slightly. Deno flushes with F_FULLFSYNC on macOS, so macOS needs
 * no special treatment.
 */
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
  // 128 plus the signal's number, as in shells.
  interrupts: { SIGINT: 130, SIGTERM: 143 },
  reload: "SIGHUP",
  reopen: "SIGUSR1",
  flushesDirectories: true,
  permissionBits: true,
  symbolicLinks: true,
  processGroups: true,
  leadsToDescriptors: false,
  spreadsConnections: false,
  unixSockets: true,
  slashed: (path) => path,
  flawOf: () => undefined,
};

/** Linux. */
export const LINUX: Platform = { ...POSIX, leadsToDescriptors: true, spreadsConnections: true };

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
  // Ctrl-C and Ctrl-Break; not every version of Deno can catch SIGTERM there.
  interrupts: { SIGINT: 130, SIGBREAK: 149 },
  // SIGHUP means on Windows that the console window is being closed.
  reload: undefined,
  reopen: undefined,
  flushesDirectories: false,
  permissionBits: false,
  symbolicLinks: false,
  processGroups: false,
  leadsToDescriptors: false,
  spreadsConnections: false,
  unixSockets: false,
  slashed: (path) => path.replaceAll("\\", "/"),
  flawOf(part) {
    // Among them "\", which is a separator, and ":", which names an alternate data stream of another file.
    const character = /[\\:<>"|?*]/.exec(part)?.[0];
    if (character) return `the name contains ${character}, which no name on Windows may`;
    if (/\p{Cc}/u.test(part)) return "the name contains a control character";
    // Windows drops trailing dots and spaces, and so would find another file.
    if (/[. ]$/.test(part)) return "a part of the name ends with a dot or a space";
    if (DEVICE.test(part)) return `"${part}" is a device on Windows`;
    // The short (8.3) names by which Windows also finds ".ferry" and ".ferry-staging".
    if (/^fe(rry-?|[0-9a-f]{4})~\d+$/i.test(part)) {
      return "it may be a short name of ferry's own files";
    }
    return undefined;
  },
};

/** Names of devices, in any directory and with any extension. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)/i;

/** The platform for a value of `Deno.build.os`. */
export function platformOf(os: string): Platform {
  if (os === "windows") return WINDOWS;
  return os === "linux" || os === "android" ? LINUX : POSIX;
}

/** The platform that this program runs on. */
export const PLATFORM: Platform = platformOf(Deno.build.os);
