/**
 * `ferryd cert`
 *
 * @module
 */

import { LONGEST_VALIDITY_MS } from "../../../lib/cli/command_spec.ts";
import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { resolve } from "../../../lib/core/paths.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { writeSecretFile } from "../../auth/secret_file.ts";
import { command } from "../command.ts";
import { CONFIG, HELP } from "../options.ts";

/** The command. */
export const cert = command({
  name: "ferryd cert",
  usage: "--host NAME [--tls-cert FILE --tls-key FILE]",
  summary: "Make a certificate that is signed by itself, and the key to it",
  details:
    `Clients trust it by --ca, with a copy of the certificate, or by --pin, with the fingerprint that
is the only line on standard output.`,
  arguments: { min: 0, max: 0 },
  options: {
    host: {
      kind: "list",
      value: "NAME",
      help: "a name or an address by which clients reach the server (may be repeated)",
    },
    "tls-cert": {
      kind: "text",
      value: "FILE",
      default: "ferryd-cert.pem",
      help: "where to write the certificate",
    },
    "tls-key": {
      kind: "text",
      value: "FILE",
      default: "ferryd-key.pem",
      help: "where to write the key, which only the owner will be able to read",
    },
    expires: {
      kind: "time",
      value: "TIME",
      default: "365d",
      range: [1, LONGEST_VALIDITY_MS],
      help: "how long it is valid",
    },
    replace: { kind: "flag", help: "replace files that are there" },
    config: CONFIG,
    help: HELP,
  },
  async run(options, _args, { print, tell }) {
    const { host: hosts, "tls-cert": certPath, "tls-key": keyPath, expires, replace } = options;
    if (hosts.length === 0) {
      throw new FerryError("usage", "Nobody could check it without a name: give a --host");
    }
    if (resolve(certPath) === resolve(keyPath)) {
      throw new FerryError("usage", "The certificate and its key need a file each");
    }
    if (!replace) assertFree([certPath, keyPath]);
    // Loaded on demand, since it is a large module that serving does not need.
    const { createCertificate } = await import("../certificate.ts");
    const { cert, key, pin } = await createCertificate({ hosts, lifetime: expires });
    await writeSecretFile(keyPath, key, { replace });
    await writeSecretFile(certPath, cert, { replace, mode: 0o644 });
    tell(`wrote ${certPath} and ${keyPath}; clients trust it by`);
    print(pin);
  },
});

/** Throws if one of the paths exists, before anything is written to any of them. */
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
