/**
 * What `@std/path` does with the paths of this system.
 *
 * `@std/path` itself asks Node's `process` which system that is, and loading that takes longer than many a
 * transfer; so the choice is made here.
 *
 * @module
 */

import * as posix from "@std/path/posix";
import * as windows from "@std/path/windows";

export const { basename, dirname, globToRegExp, isAbsolute, isGlob, join, parse, resolve } =
  Deno.build.os === "windows" ? windows : posix;
