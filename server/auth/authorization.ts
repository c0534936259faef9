/**
 * Decides whether a client may do what it asks for. This is the only place where a path is compared with the
 * directories of a token.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { type FileName, parentName, parseDirectoryName } from "../../lib/core/remote_name.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { Need } from "../../lib/wire/operations/operation.ts";
import { type OperationName, OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { Bounds } from "../storage/storage.ts";
import type { GrantedDirectory, Grants } from "./grants.ts";

/** A client, as authorization sees it. */
export interface Principal {
  /** What it may do. */
  readonly grants: Grants;
  /** Whether it could get more grants by logging in with a token. */
  readonly mayAuthenticate: boolean;
  /** What a share link limits, if the client came by one. Default: undefined. */
  readonly link?: LinkLimits | undefined;
}

/** What a share link limits besides scopes and directories. Refusals do not tell its visitors where it leads. */
export interface LinkLimits {
  /** The only file that requests may be about. Its directory can be listed, and has nothing else. */
  readonly only?: FileName | undefined;
  /** Whether uploads never replace a file. */
  readonly createsOnly: boolean;
}

/** What a client asks to do. */
export interface AccessRequest {
  /** The operation, which determines the scopes that are needed. */
  op: OperationName;
  /** The name that it is about; undefined if there is none, as for a `compare` itself, apart from its lines. */
  filename?: string | undefined;
  /** The new name of a `move`. */
  to?: string | undefined;
  /** The file that a `put` builds upon; undefined if it builds upon none. */
  basis?: string | undefined;
  /** Whether a `list` is one of partial uploads, each of which is then asked about on its own. */
  parts?: boolean | undefined;
  /** Whether a `share` is for uploads. */
  upload?: boolean | undefined;
}

/**
 * Checks that a request is allowed. A name outside of the grants is refused whether it exists or not, so that the
 * refusal reveals nothing.
 *
 * @throws {FerryError} `denied`; `auth_required` if a token could help; `bad_name` if the decision depends on a name
 * that is not valid
 */
export function assertAllowed(who: Principal, request: AccessRequest): void {
  const { grants } = who;
  for (const { scope, reach, of = "filename" } of needsOf(request)) {
    const directories = grants[scope] ?? [];
    if (!isGranted(directories, reach, request[of] ?? "")) throw refusal(who, scope, directories);
  }
  const { op, filename = "", to = "" } = request;
  if (who.link?.only !== undefined && !isAbout(who.link.only, request)) throw notByLink();
  if (op === "move" && !revealsNothing(grants, filename, to)) {
    throw refusal(who, "read", grants.read ?? []);
  }
}

/**
 * The bounds of a request that was allowed, for symbolic links that lead its names elsewhere. It may reach only paths
 * that it could have named directly. So it makes no difference where a link is, or was moved to.
 *
 * A granted directory is the one at that path itself. If the path is a symbolic link, nothing below it is granted.
 *
 * @returns undefined if the request may reach everything
 */
export function boundsOf({ grants }: Principal, request: AccessRequest): Bounds | undefined {
  // A request about many names, such as a compare, has for each of them the bounds of a request about that name alone.
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

/** Whether a request is about nothing but one file. */
function isAbout(only: FileName, { op, filename, basis = only }: AccessRequest): boolean {
  if (basis !== only) return false;
  return filename === only || op === "list" && filename === parentName(only);
}

function notByLink(): FerryError {
  return new FerryError("denied", "the link does not allow that");
}

function needsOf(request: AccessRequest): readonly Need[] {
  return OPERATIONS[request.op].needs(request);
}

/** Whether a scope is granted only below some directories. */
function isConfined(directories: readonly GrantedDirectory[] | undefined): boolean {
  return directories !== undefined && !directories.includes("");
}

/** Whether everything that can be read after a move could be read before it: a move must not make files readable. */
function revealsNothing({ read = [] }: Grants, from: string, to: string): boolean {
  return !overlaps(read, to) || covers(read, "directory", from);
}

function isGranted(
  directories: readonly GrantedDirectory[],
  reach: Need["reach"],
  text: string,
): boolean {
  // Only a valid name can be compared with a directory: an invalid one might mean another place than it seems to.
  const isCompared = directories.length > 0 && !directories.includes("") && reach !== "somewhere";
  return covers(directories, reach, isCompared ? parseDirectoryName(text) : text);
}

/** Whether one of the directories contains a path; see {@linkcode Need.reach}. */
function covers(
  directories: readonly GrantedDirectory[],
  reach: Need["reach"],
  path: string,
): boolean {
  if (directories.includes("") || reach === "somewhere") return directories.length > 0;
  return directories.some((directory) =>
    path.startsWith(`${directory}/`) || reach === "directory" && path === directory
  );
}

/** Whether a name, or anything below it, is in one of the directories. */
function overlaps(directories: readonly GrantedDirectory[], name: string): boolean {
  return directories.some((directory) =>
    directory === "" || `${name}/`.startsWith(`${directory}/`) || directory.startsWith(`${name}/`)
  );
}

function refusal(
  { mayAuthenticate, link }: Principal,
  scope: Scope,
  directories: readonly GrantedDirectory[],
): FerryError {
  if (link) return notByLink();
  if (mayAuthenticate) {
    return new FerryError("auth_required", `the scope "${scope}" needs a token`);
  }
  if (directories.length === 0) {
    return new FerryError("denied", `the server does not grant the scope "${scope}"`);
  }
  const places = directories.slice(0, 3).map((directory) => quote(`${directory}/`)).join(", ");
  const more = directories.length > 3 ? ", …" : "";
  return new FerryError("denied", `the scope "${scope}" is granted only below ${places}${more}`);
}
