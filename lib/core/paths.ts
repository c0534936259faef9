/**
 * Functions on paths for the operating system that the program runs on.
 *
 * `@std/path` uses Node's `process` to detect the system, and loading that takes longer than many a transfer. So its
 * functions are imported individually, and {@linkcode PLATFORM} selects them.
 *
 * @module
 */

export { isGlob } from "@std/path/is-glob";
import { PLATFORM } from "./platform.ts";

export const { basename, dirname, fromFileUrl, globToRegExp, isAbsolute, join, parse } =
  PLATFORM.path;

/** The absolute form of a path. */
export function resolve(path: string): string {
  return isAbsolute(path) ? join(path) : join(Deno.cwd(), path);
}
