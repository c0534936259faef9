/**
 * Decides whether a client may do what it asks for. This is the only place where a path is compared with the
 * directories of a token.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { parseDirectoryName } from "../../lib/core/remote_name.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { Need } from "../../lib/wire/operations/operation.ts";
import { type OperationName, OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { Bounds } from "../storage/storage.ts";
import type { Grants, Prefix } from "./grants.ts";

/** A client as far as authorization goes. */
export interface Principal {
  /** What it may do. */
  readonly grants: Grants;
  /** Whether it may get more grants by logging in with a token. */
  readonly mayAuthenticate: boolean;
}

/** What a client asks to do. */
export interface AccessRequest {
  /** The operation, which says which scopes it needs. */
  op: OperationName;
  /** The name that it is about; undefined where it is about none, as a `compare` is apart from its lines. */
  filename?: string | undefined;
  /** The new name of a `move`. */
  to?: string | undefined;
  /** Whether a `list` is one of partial uploads, each of which is then asked about on its own. */
  parts?: boolean | undefined;
}

/**
 * Lets a request pass, or fails. A name outside of the grants is refused whether anything has it or not, so that the
 * refusal tells nothing.
 *
 * @throws {FerryError} `denied`; `auth_required` where a token could help; `bad_name` where the decision depends on a
 * name that is not valid
 */
export function assertAllowed(who: Principal, request: AccessRequest): void {
  const { grants } = who;
  for (const { scope, reach, of = "filename" } of needsOf(request)) {
    const prefixes = grants[scope] ?? [];
    if (!isGranted(prefixes, reach, request[of] ?? "")) throw refusal(who, scope, prefixes);
  }
  const { op, filename = "", to = "" } = request;
  if (op === "move" && !revealsNothing(grants, filename, to)) {
    throw refusal(who, "read", grants.read ?? []);
  }
}

/**
 * The bounds of a request that was allowed, where symbolic links lead its names elsewhere: it reaches what it could
 * have named itself. So it makes no difference where a link stands, or was moved to.
 *
 * A directory that is granted is the one at that path; where the path is a link, nothing below it is granted.
 *
 * @returns undefined where the request may reach everything
 */
export function boundsOf({ grants }: Principal, request: AccessRequest): Bounds | undefined {
  // A request about many names, such as a compare, is bounded for each of them as one about a single name.
  const needs = needsOf(request.filename === undefined ? { ...request, filename: "" } : request);
  const confined = needs.some(({ scope }) => isConfined(grants[scope])) ||
    request.op === "move" && isConfined(grants.read);
  if (!confined) return undefined;
  const may = (key: Need["of"], path: string) =>
    needs.every(({ scope, reach, of = "filename" }) =>
      of !== key || covers(grants[scope] ?? [], reach, path)
    );
  return {
    reaches: (path) => may("filename", path),
    takes: (path, from) => may("to", path) && revealsNothing(grants, from, path),
  };
}

function needsOf(request: AccessRequest): readonly Need[] {
  return OPERATIONS[request.op].needs(request);
}

/** Whether a scope is granted below some directories only. */
function isConfined(prefixes: readonly Prefix[] | undefined): boolean {
  return prefixes !== undefined && !prefixes.includes("");
}

/** Whether all that could be read after a move could be read before it: a move must not make files readable. */
function revealsNothing({ read = [] }: Grants, from: string, to: string): boolean {
  return !overlaps(read, to) || covers(read, "directory", from);
}

function isGranted(prefixes: readonly Prefix[], reach: Need["reach"], text: string): boolean {
  // Only a valid name is compared with a directory: any other might mean another place than it seems to.
  const isCompared = prefixes.length > 0 && !prefixes.includes("") && reach !== "somewhere";
  return covers(prefixes, reach, isCompared ? parseDirectoryName(text) : text);
}

/** Whether one of the directories contains a path; see {@linkcode Need.reach}. */
function covers(prefixes: readonly Prefix[], reach: Need["reach"], path: string): boolean {
  if (prefixes.includes("") || reach === "somewhere") return prefixes.length > 0;
  return prefixes.some((prefix) =>
    path.startsWith(`${prefix}/`) || reach === "directory" && path === prefix
  );
}

/** Whether a name, or anything below it, is in one of the directories. */
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
