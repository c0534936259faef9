/**
 * What `ferryd` does beside serving: tokens and certificates.
 *
 * @module
 */

import type { OptionValues } from "../../lib/cli/command_line.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { resolve } from "../../lib/core/paths.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { formatGrants, parseGrants } from "../auth/authorization.ts";
import type { CERT, TOKEN_LIST, TOKEN_NEW, TOKEN_REVOKE } from "./options.ts";
import { writeSecretFile } from "../auth/secret_file.ts";
import { TokenFile, type TokenRecord } from "../auth/token_file.ts";

/** Where a command says what. */
export interface Voice {
  /** Results, on standard output. */
  print(line: string): void;
  /** What people want to know beside them, on standard error. */
  tell(line: string): void;
}

/** Runs a command whose options and arguments have been read. */
type Run<Options> = (options: Options, args: string[], voice: Voice) => Promise<void>;

/** `ferryd token new` */
export const tokenNew: Run<OptionValues<typeof TOKEN_NEW.options>> = async (
  { "token-file": path, name, scope, path: paths, expires },
  _args,
  { print, tell },
) => {
  const file = tokenFile(path);
  if (name === undefined) throw new FerryError("usage", "A token needs a --name");
  const grants = parseGrants(scope, paths);
  if (Object.keys(grants).length === 0) {
    throw new FerryError("usage", "A token that allows nothing is of no use: give a --scope");
  }
  const ends = expires === undefined ? null : Date.now() + expires;
  const { token, record } = await file.create({ name, grants, expires: ends });
  tell(`token ${describe(record)}`);
  print(token);
};

/** `ferryd token list` */
export const tokenList: Run<OptionValues<typeof TOKEN_LIST.options>> = (
  { "token-file": path },
  _args,
  { print },
) => {
  for (const record of tokenFile(path).read().records.values()) print(describe(record));
  return Promise.resolve();
};

/** `ferryd token revoke` */
export const tokenRevoke: Run<OptionValues<typeof TOKEN_REVOKE.options>> = async (
  { "token-file": path },
  args,
  { tell },
) => {
  const file = tokenFile(path);
  for (const wanted of args) tell(`revoked ${describe(await file.revoke(wanted))}`);
  tell("a ferryd that runs with this file ends within two seconds what goes on by it");
};

/** `ferryd cert` */
export const cert: Run<OptionValues<typeof CERT.options>> = async (
  { host: hosts, "tls-cert": certPath, "tls-key": keyPath, expires: lifetime, replace },
  _args,
  { print, tell },
) => {
  if (hosts.length === 0) {
    throw new FerryError("usage", "Nobody could check it without a name: give a --host");
  }
  if (resolve(certPath) === resolve(keyPath)) {
    throw new FerryError("usage", "The certificate and its key need a file each");
  }
  if (!replace) assertFree([certPath, keyPath]);
  // It is large, and needed for nothing else.
  const { createCertificate } = await import("./certificate.ts");
  const { cert, key, pin } = await createCertificate({ hosts, lifetime });
  await writeSecretFile(keyPath, key, { replace });
  await writeSecretFile(certPath, cert, { replace, mode: 0o644 });
  tell(`wrote ${certPath} and ${keyPath}; clients trust it by`);
  print(pin);
};

/** Fails where something is at one of the paths, before anything is written to any of them. */
function assertFree(paths: readonly string[]): void {
  const taken = paths.filter((path) => {
    try {
      return isTaken(path);
    } catch (error) {
      throw toFerryError(error).during(`write ${quote(path)}`);
    }
  });
  if (taken.length === 0) return;
  const reason = taken.length === 1
    ? "it exists already; with --replace it is replaced"
    : "they exist already; with --replace they are replaced";
  throw new FerryError("exists", reason, { action: `write ${taken.map(quote).join(" and ")}` });
}

function tokenFile(path: string | undefined): TokenFile {
  if (path === undefined) throw new FerryError("usage", "Where are the tokens? Give --token-file");
  return new TokenFile(path);
}

function describe({ id, name, grants, expires }: TokenRecord): string {
  const end = expires === null
    ? "never expires"
    : `${expires <= Date.now() ? "expired" : "expires"} ${new Date(expires).toISOString()}`;
  return `${id}  ${JSON.stringify(name)}  ${formatGrants(grants)}  ${end}`;
}
