/**
 * Permissions that a program gives up once it has started.
 *
 * Deno opens files below /dev, /proc and /sys (including /dev/shm) only for a program with all permissions. So the
 * programs may be started with all of them. They give up those that they do not need as soon as they know that none of
 * their paths leads there.
 *
 * @module
 */

import { dirname, resolve } from "../core/paths.ts";

/** The directories below which Deno opens files only for a program with all permissions. */
const SPECIAL = ["/dev", "/proc", "/sys"];

/** A permission that a program may give up. */
export type Privilege = "env" | "ffi" | "run";

/**
 * Whether a path is below one of the special directories. If it does not exist, its nearest existing parent decides.
 */
export function leadsToSpecial(path: string): boolean {
  const named = resolve(path);
  // /dev/fd/3 may be a file elsewhere, but Deno decides by the name.
  if (isSpecial(named)) return true;
  for (let at = named;; at = dirname(at)) {
    try {
      return isSpecial(Deno.realPathSync(at));
    } catch (error) {
      // Deno does not even resolve a path below such a directory for a program that lacks a permission.
      if (error instanceof Deno.errors.NotCapable) return true;
      // The path does not exist.
      if (dirname(at) === at) return false;
    }
  }
}

function isSpecial(path: string): boolean {
  return SPECIAL.some((special) => `${path}/`.startsWith(`${special}/`));
}

/** Reads an environment variable whose name begins with `FERRY`. */
export type Environment = (name: string) => string | undefined;

/** Reads the environment itself. */
export const ENVIRONMENT: Environment = (name) => Deno.env.get(name);

/**
 * Gives up permissions, unless the working directory or one of the paths is in a directory for which all permissions
 * are needed.
 *
 * @param values arguments or values of options: any text among them may be a path
 * @returns a function to read the environment variables, which works even if `env` was given up
 */
export function giveUp(privileges: readonly Privilege[], values: readonly unknown[]): Environment {
  const texts = [".", ...values.flat()].filter((value) => typeof value === "string");
  if (texts.some((text) => leadsToSpecial(text.replace(/^--[\w-]+=/, "")))) return ENVIRONMENT;
  // A program that may read only some variables keeps that permission.
  const { state } = Deno.permissions.querySync({ name: "env" });
  const given = privileges.filter((name) => name !== "env" || state === "granted");
  const environment = given.includes("env") ? keptEnvironment() : ENVIRONMENT;
  for (const name of given) Deno.permissions.revokeSync({ name });
  return environment;
}

function keptEnvironment(): Environment {
  const all = Object.entries(Deno.env.toObject());
  const kept = new Map(all.filter(([name]) => name.startsWith("FERRY")));
  return (name) => kept.get(name);
}
