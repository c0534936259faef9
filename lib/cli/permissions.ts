/**
 * The permissions that a program gives up when it starts.
 *
 * The runtime opens files below /dev, /proc and /sys only for a program that has every permission, whatever they are:
 * those in /dev/shm, too. So a program may be started with all of them, and gives up what it does not need as soon as
 * it is known that none of its paths leads there.
 *
 * @module
 */

import { dirname, resolve } from "../core/paths.ts";

/** Where the runtime opens nothing for a program that lacks any permission. */
const SPECIAL = ["/dev", "/proc", "/sys"];

/** The permissions that a program may give up. */
export type Privilege = "env" | "ffi" | "run";

/** Whether a path, or the directory that it would be made in, leads to where every permission is needed. */
export function leadsToSpecial(path: string): boolean {
  const named = resolve(path);
  // A descriptor there may be that of a file elsewhere.
  if (isSpecial(named)) return true;
  for (let at = named;; at = dirname(at)) {
    try {
      return isSpecial(Deno.realPathSync(at));
    } catch (error) {
      // The runtime lets nobody else even look.
      if (error instanceof Deno.errors.NotCapable) return true;
      // It is not there.
      if (dirname(at) === at) return false;
    }
  }
}

function isSpecial(path: string): boolean {
  return SPECIAL.some((special) => `${path}/`.startsWith(`${special}/`));
}

/** What of the environment was kept where `env` was given up. */
let kept: ReadonlyMap<string, string> | undefined;

/** A variable of the environment whose name begins with `FERRY`. */
export function variable(name: string): string | undefined {
  return kept ? kept.get(name) : Deno.env.get(name);
}

/**
 * Gives up permissions, unless the working directory or one of the paths leads to where all are needed.
 *
 * @param values arguments or values of options: any that is a text may be a path
 */
export function giveUp(privileges: readonly Privilege[], values: readonly unknown[]): void {
  const texts = [".", ...values.flat()].filter((value) => typeof value === "string");
  if (texts.some((text) => leadsToSpecial(text.replace(/^--[\w-]+=/, "")))) return;
  const { state } = Deno.permissions.querySync({ name: "env" });
  // Who may read some variables only has been given no more than these.
  const wanted = privileges.filter((name) => name !== "env" || state === "granted");
  if (wanted.includes("env")) {
    const all = Object.entries(Deno.env.toObject());
    kept = new Map(all.filter(([name]) => name.startsWith("FERRY")));
  }
  for (const name of wanted) Deno.permissions.revokeSync({ name });
}
