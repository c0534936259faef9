/**
 * Who may do what: one decision, in one place.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { type FileName, parseDirectoryName } from "../../lib/core/remote_name.ts";
import { type Scope, SCOPES } from "../../lib/core/scope.ts";
import type { Need } from "../../lib/wire/operations/operation.ts";
import { type OperationName, OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { Bounds } from "../storage/storage.ts";

/** What is granted on a loopback address where nobody says otherwise: to run commands is never among it. */
export const DEFAULT_SCOPES: readonly Scope[] = ["read", "write", "delete", "echo"];

/** The scopes that a path can confine. What a command touches cannot be told from its name. */
const CONFINABLE: ReadonlySet<Scope> = new Set<Scope>(["read", "write", "delete"]);

/** A directory, or "" for the root: what is below it is granted. */
export type Prefix = FileName | "";

/** Where each scope holds; one that is not there holds nowhere. */
export type Grants = { readonly [Granted in Scope]?: readonly Prefix[] };

/** Whoever sends requests. */
export interface Principal {
  /** What it may do. */
  readonly grants: Grants;
  /** Whether it may become somebody else by showing a token. */
  readonly mayAuthenticate: boolean;
}

/** What is to be decided: an operation, and the names that it is about. */
export interface Question {
  /** The operation. */
  op: OperationName;
  /** The name; of a `compare` that of one line, absent for the request itself. */
  filename?: string | undefined;
  /** The other name of a `move`. */
  to?: string | undefined;
  /** Whether a `list` is one of parts, which are then looked at one by one. */
  parts?: boolean | undefined;
}

function needsOf(question: Question): readonly Need[] {
  return OPERATIONS[question.op].needs(question);
}

/**
 * Lets an operation pass. This is the only place that decides.
 *
 * A name outside of what is granted is refused whether something stands there or not, so that the refusal
 * tells nothing.
 *
 * @throws {FerryError} `denied`, or `auth_required` for somebody who has shown no token and may; `bad_name`
 * where it depends on a name that is none
 */
export function assertAllowed(who: Principal, question: Question): void {
  const { grants } = who;
  const { op, filename = "", to = "" } = question;
  for (const { scope, reach, of = "filename" } of needsOf(question)) {
    const prefixes = grants[scope] ?? [];
    if (!holds(prefixes, reach, question[of] ?? "")) throw refusal(who, scope, prefixes);
  }
  if (op === "move" && !showsNothing(grants, filename, to)) {
    throw refusal(who, "read", grants.read ?? []);
  }
}

/**
 * How far a request that was let pass may go where links lead it elsewhere: to what it could have named
 * itself. So it makes no difference where a link stands, or was moved to.
 *
 * A directory that is granted is the one at that path; where a link stands there, nothing below is granted.
 *
 * @returns undefined where it may go anywhere
 */
export function boundsOf({ grants }: Principal, question: Question): Bounds | undefined {
  // What a request is about of many names, such as the lines of a compare, it is about in the same way.
  const needs = needsOf({ filename: "", ...question });
  const scopes = new Set(needs.map(({ scope }) => scope));
  if (question.op === "move") scopes.add("read");
  const confined = [...scopes].some((scope) => grants[scope]?.every((prefix) => prefix !== ""));
  if (!confined) return undefined;
  const may = (name: Need["of"], path: string) =>
    needs.every(({ scope, reach, of = "filename" }) =>
      of !== name || covers(grants[scope] ?? [], reach, path)
    );
  return {
    reaches: (path) => may("filename", path),
    takes: (path, from) => may("to", path) && showsNothing(grants, from, path),
  };
}

/** Whether what could be read after a move could be read before: to move is no way to read. */
function showsNothing({ read = [] }: Grants, from: string, to: string): boolean {
  return !overlaps(read, to) || covers(read, "directory", from);
}

function holds(prefixes: readonly Prefix[], reach: Need["reach"], text: string): boolean {
  // A name that could mean another place than it seems to is never compared with a prefix.
  const matters = prefixes.length > 0 && !prefixes.includes("") && reach !== "somewhere";
  return covers(prefixes, reach, matters ? parseDirectoryName(text) : text);
}

function covers(prefixes: readonly Prefix[], reach: Need["reach"], path: string): boolean {
  if (prefixes.includes("") || reach === "somewhere") return prefixes.length > 0;
  return prefixes.some((prefix) =>
    path.startsWith(`${prefix}/`) || reach === "directory" && path === prefix
  );
}

/** Whether anything at or below a name is below one of the prefixes. */
function overlaps(prefixes: readonly Prefix[], name: string): boolean {
  return prefixes.some((prefix) =>
    prefix === "" || `${name}/`.startsWith(`${prefix}/`) || prefix.startsWith(`${name}/`)
  );
}

function refusal(
  { mayAuthenticate }: Principal,
  scope: Scope,
  prefixes: readonly Prefix[],
): FerryError {
  if (mayAuthenticate) {
    return new FerryError("auth_required", `the scope "${scope}" needs a token`);
  }
  if (prefixes.length === 0) {
    return new FerryError("denied", `the server does not grant the scope "${scope}"`);
  }
  const places = prefixes.slice(0, 3).map((prefix) => quote(`${prefix}/`)).join(", ");
  const more = prefixes.length > 3 ? ", …" : "";
  return new FerryError("denied", `the scope "${scope}" is granted only below ${places}${more}`);
}

/** The scopes, everywhere. */
export function grantEverywhere(scopes: readonly Scope[]): Grants {
  return Object.fromEntries(scopes.map((scope) => [scope, [""]]));
}

/** The scopes that hold somewhere. */
export function scopesOf(grants: Grants): Scope[] {
  return SCOPES.filter((scope) => (grants[scope] ?? []).length > 0);
}

/**
 * Reads scopes as people write them: `read,write`.
 *
 * @throws {FerryError} `usage`
 */
export function parseScopes(text: string): Scope[] {
  return items(text).map(parseScope);
}

/**
 * Reads scopes that each may have a directory of their own, `read,write:inbox/`, and directories for those
 * that have none.
 *
 * @throws {FerryError} `usage`
 */
export function parseGrants(scopes: readonly string[], paths: readonly string[]): Grants {
  const grants: Partial<Record<Scope, Prefix[]>> = {};
  const everywhere = paths.length > 0 ? paths.map(parsePrefix) : ["" as const];
  for (const item of scopes.flatMap(items)) {
    const colon = item.indexOf(":");
    const scope = parseScope(colon < 0 ? item : item.slice(0, colon));
    const prefixes = colon < 0 ? everywhere : [parsePrefix(item.slice(colon + 1))];
    if (!CONFINABLE.has(scope) && prefixes.some((prefix) => prefix !== "")) {
      throw new FerryError(
        "usage",
        `no path confines "${scope}": a command reaches whatever ferryd does`,
      );
    }
    grants[scope] = mergePrefixes(grants[scope], prefixes);
  }
  return grants;
}

function mergePrefixes(some: readonly Prefix[] = [], more: readonly Prefix[] = []): Prefix[] {
  const all = [...some, ...more];
  // The root has everything; what stands beside it would say nothing.
  return all.includes("") ? [""] : [...new Set(all)];
}

/** What one or the other grants. */
export function mergeGrants(some: Grants, more: Grants): Grants {
  const scopes = SCOPES.filter((scope) => some[scope] ?? more[scope]);
  return Object.fromEntries(
    scopes.map((scope) => [scope, mergePrefixes(some[scope], more[scope])]),
  );
}

/** Grants as {@linkcode parseGrants} reads them. */
export function formatGrants(grants: Grants): string {
  return scopesOf(grants).flatMap((scope) =>
    grants[scope]!.map((prefix) => prefix === "" ? scope : `${scope}:${prefix}/`)
  ).join(",");
}

/**
 * Reads a directory as people write it, with a slash behind it or without; "" and "/" are the root.
 *
 * @throws {FerryError} `usage`
 */
export function parsePrefix(text: string): Prefix {
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
