/**
 * Grants: which scopes a client has, and below which directories. Parses, formats and merges them.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { type FileName, parseDirectoryName } from "../../lib/core/remote_name.ts";
import { type Scope, SCOPES } from "../../lib/core/scope.ts";

/** The scopes that are granted on a loopback address by default. Running commands is never among them. */
export const DEFAULT_SCOPES: readonly Scope[] = ["read", "write", "delete", "echo"];

/** The scopes that can be confined to a directory. Running commands cannot: a command may access any file. */
const CONFINABLE: ReadonlySet<Scope> = new Set<Scope>(["read", "write", "delete"]);

/** A directory, or "" for the root: everything below it is granted. */
export type GrantedDirectory = FileName | "";

/** The directories below which each scope is granted; a scope that is missing is granted nowhere. */
export type Grants = { readonly [Granted in Scope]?: readonly GrantedDirectory[] };

/** Grants of these scopes for the whole root. */
export function grantEverywhere(scopes: readonly Scope[]): Grants {
  return Object.fromEntries(scopes.map((scope) => [scope, [""]]));
}

/** The scopes that are granted anywhere. */
export function scopesOf(grants: Grants): Scope[] {
  return SCOPES.filter((scope) => (grants[scope] ?? []).length > 0);
}

/** The union of two grants. */
export function mergeGrants(some: Grants, more: Grants): Grants {
  const scopes = SCOPES.filter((scope) => some[scope] ?? more[scope]);
  return Object.fromEntries(
    scopes.map((scope) => [scope, mergeDirectories(some[scope], more[scope])]),
  );
}

function mergeDirectories(
  some: readonly GrantedDirectory[] = [],
  more: readonly GrantedDirectory[] = [],
): GrantedDirectory[] {
  const all = [...some, ...more];
  // The root contains every other directory.
  return all.includes("") ? [""] : [...new Set(all)];
}

/**
 * Parses scopes as people write them: `read,write`.
 *
 * @throws {FerryError} `usage`
 */
export function parseScopes(text: string): Scope[] {
  return items(text).map(parseScope);
}

/**
 * Parses scopes, each with an optional directory, as in `read,write:inbox/`, and the directories for the scopes without
 * one.
 *
 * @param scopes lists of scopes
 * @param paths the directories for the scopes without one. If empty: the root
 * @throws {FerryError} `usage`
 */
export function parseGrants(scopes: readonly string[], paths: readonly string[]): Grants {
  const grants: Partial<Record<Scope, GrantedDirectory[]>> = {};
  const everywhere = paths.length > 0 ? paths.map(parseGrantedDirectory) : ["" as const];
  for (const item of scopes.flatMap(items)) {
    const colon = item.indexOf(":");
    const scope = parseScope(colon < 0 ? item : item.slice(0, colon));
    const directories = colon < 0 ? everywhere : [parseGrantedDirectory(item.slice(colon + 1))];
    if (!CONFINABLE.has(scope) && directories.some((directory) => directory !== "")) {
      throw new FerryError(
        "usage",
        `no path confines "${scope}": a command reaches whatever ferryd does`,
      );
    }
    grants[scope] = mergeDirectories(grants[scope], directories);
  }
  return grants;
}

/** Formats grants as {@linkcode parseGrants} parses them. */
export function formatGrants(grants: Grants): string {
  return scopesOf(grants).flatMap((scope) =>
    grants[scope]!.map((directory) => directory === "" ? scope : `${scope}:${directory}/`)
  ).join(",");
}

/**
 * Parses a directory as people write it, with or without a slash at its end; "" and "/" are the root.
 *
 * @throws {FerryError} `usage`
 */
export function parseGrantedDirectory(text: string): GrantedDirectory {
  try {
    return parseDirectoryName(text.replace(/\/$/, ""));
  } catch (error) {
    const { reason } = error as FerryError;
    throw new FerryError("usage", `${quote(text)} is no directory of the server: ${reason}`);
  }
}

function items(text: string): string[] {
  return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
}

function parseScope(name: string): Scope {
  const scope = SCOPES.find((known) => known === name);
  if (scope) return scope;
  throw new FerryError("usage", `${quote(name)} is no scope; there are ${SCOPES.join(", ")}`);
}
