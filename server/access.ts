/**
 * Who may do what: one decision, in one place.
 *
 * @module
 */

import { FerryError } from "../lib/errors.ts";
import type { Request } from "../lib/header.ts";

/** What a client may be allowed to do. No request needs `echo`: it opens echo listeners to others. */
export type Scope = "read" | "write" | "delete" | "exec" | "echo";

/** All the scopes. */
export const SCOPES: readonly Scope[] = ["read", "write", "delete", "exec", "echo"];

/** What is granted on a loopback address where nobody says otherwise: to run commands is never among it. */
export const DEFAULT_SCOPES: readonly Scope[] = ["read", "write", "delete", "echo"];

/** What each operation needs. */
const NEEDED: { readonly [Op in Request["op"]]: readonly Scope[] } = {
  hello: [],
  ping: [],
  get: ["read"],
  list: ["read"],
  stat: ["read"],
  put: ["write"],
  // It tells which files are there, and what would become of those that are not.
  compare: ["read", "write"],
  mkdir: ["write"],
  move: ["write", "delete"],
  remove: ["delete"],
  exec: ["exec"],
};

/**
 * Lets an operation pass.
 *
 * @throws {FerryError} `denied`, with the scope that is missing
 */
export function assertAllowed(op: Request["op"], granted: readonly Scope[]): void {
  const missing = NEEDED[op].find((scope) => !granted.includes(scope));
  if (missing) throw new FerryError("denied", `the server does not grant the scope "${missing}"`);
}
