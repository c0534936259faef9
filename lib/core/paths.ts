/**
 * The functions on paths of the platform that this program runs on.
 *
 * `@std/path` itself asks Node's `process` which system that is, and loading that takes longer than many a
 * transfer; so its functions are taken one by one, and the choice is made by {@linkcode PLATFORM}.
 *
 * @module
 */

export { isGlob } from "@std/path/is-glob";
import { PLATFORM } from "./platform.ts";

export const { basename, dirname, fromFileUrl, globToRegExp, isAbsolute, join, parse } =
  PLATFORM.path;

/** A path that leads to the same place from everywhere. */
export function resolve(path: string): string {
  return isAbsolute(path) ? join(path) : join(Deno.cwd(), path);
}
