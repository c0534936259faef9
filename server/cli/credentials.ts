/**
 * The tokens and the certificate of `ferryd`: read from files at its start, and again when they change or at SIGHUP.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { readRegularFile } from "../../lib/cli/input_file.ts";
import { watchFile } from "./file_watch.ts";
import type { KeyPair } from "../net/tls_listener.ts";
import { sameTokens, TokenFile } from "../auth/token_file.ts";
import type { TokenTable } from "../auth/token_table.ts";

const logger = getLogger(["ferry", "server"]);

/** A server whose tokens and certificate can be replaced while it runs. */
export interface Reloadable {
  /** Replaces what is given. */
  reload(options: { tokens?: TokenTable | undefined; tls?: KeyPair | undefined }): void;
}

/** The options that name the files. */
export interface CredentialOptions {
  /** The file of tokens. */
  "token-file"?: string | undefined;
  /** The certificate, in PEM. */
  "tls-cert"?: string | undefined;
  /** The key of that certificate, in PEM. */
  "tls-key"?: string | undefined;
}

/**
 * Reads the tokens. Undefined if no option names a file.
 *
 * @param options.mayBeEmpty see {@linkcode TokenFile.read}
 * @throws {FerryError} as {@linkcode TokenFile.read}
 */
export function readTokens(
  { "token-file": path }: CredentialOptions,
  options?: { mayBeEmpty?: boolean },
): TokenTable | undefined {
  return path === undefined ? undefined : new TokenFile(path).read(options);
}

/** A certificate that expires within this time is reported in the log. */
const EXPIRES_SOON_MS = 14 * 24 * 60 * 60 * 1000;

/**
 * Reads the certificate and its key. Undefined if no option names them.
 *
 * @throws {FerryError} `usage` if only one of the two is named; `not_found`, … if a file cannot be read
 */
export async function readKeyPair(options: CredentialOptions): Promise<KeyPair | undefined> {
  const { "tls-cert": certPath, "tls-key": keyPath } = options;
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) {
    throw new FerryError("usage", "--tls-cert and --tls-key belong together");
  }
  const [cert, key] = [certPath, keyPath].map((path) => {
    try {
      return readRegularFile(path);
    } catch (error) {
      throw toFerryError(error).during(`read ${quote(path)}`);
    }
  }) as [string, string];
  const validity = await validityOf(cert);
  if (validity && validity.state !== "good") {
    const { validFrom, validTo } = validity;
    const message = validity.state === "not yet"
      ? "The certificate {path} is valid from {validFrom} on only"
      : "The certificate {path} is valid until {validTo} only";
    logger.warn(message, { path: certPath, validFrom, validTo });
  }
  return { cert, key };
}

/** When a certificate is valid. */
export interface Validity {
  /** Its beginning, as text for people. */
  validFrom: string;
  /** Its end, as text for people. */
  validTo: string;
  /** What that means now; `soon`: it expires within 14 days. */
  state: "not yet" | "good" | "soon" | "expired";
}

/** When a certificate in PEM is valid; undefined if it cannot be read, which the listener reports. */
export async function validityOf(cert: string): Promise<Validity | undefined> {
  const { X509Certificate } = await import("node:crypto");
  let dates: Pick<Validity, "validFrom" | "validTo">;
  try {
    dates = new X509Certificate(cert);
  } catch {
    return undefined;
  }
  const { validFrom, validTo } = dates;
  const left = Date.parse(validTo) - Date.now();
  const state = left < 0
    ? "expired"
    : Date.parse(validFrom) > Date.now()
    ? "not yet"
    : left < EXPIRES_SOON_MS
    ? "soon"
    : "good";
  return { validFrom, validTo, state };
}

/**
 * Watches the token file, and reloads the tokens of a server within a second or two after each change. If the file
 * cannot be read, the tokens stay as they were.
 *
 * @param known the tokens that the server has now
 */
export function watchTokens(
  server: Reloadable,
  options: CredentialOptions,
  known: TokenTable,
): Disposable {
  let complaint: string | undefined;
  return watchFile(options["token-file"]!, () => {
    try {
      const tokens = readTokens(options, { mayBeEmpty: known.records.size === 0 })!;
      complaint = undefined;
      if (sameTokens(known, tokens)) return;
      server.reload({ tokens });
      known = tokens;
      logger.info("Reloaded the token file");
    } catch (error) {
      const { code, message: reason } = toFerryError(error);
      if (reason === complaint) return;
      complaint = reason;
      const text =
        "The tokens stay as they were: {reason} ({code}). Mend the file: it is read again then";
      logger.error(text, { reason, code });
    }
  });
}

/** Reloads the tokens and the certificate. If a file cannot be read, the present ones stay in use. */
export async function reload(server: Reloadable, options: CredentialOptions): Promise<void> {
  if (options["token-file"] === undefined && options["tls-cert"] === undefined) {
    return logger.info("There are neither tokens nor a certificate to reload");
  }
  const attempt = async (what: string, change: () => Promise<void> | void) => {
    try {
      await change();
      logger.info("Read the {what} anew", { what });
    } catch (error) {
      const { code, message: reason } = toFerryError(error);
      logger.error(
        "The {what} stays as it was: {reason} ({code}). Mend it and send SIGHUP again",
        { what, reason, code },
      );
    }
  };
  if (options["token-file"] !== undefined) {
    // An empty file is considered damaged: a file without tokens still has its first line.
    const read = () => readTokens(options, { mayBeEmpty: false });
    await attempt("token file", () => server.reload({ tokens: read() }));
  }
  if (options["tls-cert"] !== undefined) {
    await attempt("certificate", async () => {
      server.reload({ tls: await readKeyPair(options) });
    });
  }
}
