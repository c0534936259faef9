/**
 * The token and the trusted certificates of a client: from options, the environment, or a question on the terminal.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { blocking } from "../../lib/cli/signals.ts";
import { parsePin } from "../../lib/security/certificate_pin.ts";
import { readFileOrPipe } from "../../lib/cli/input_file.ts";
import { formatToken, parseToken } from "../../lib/security/token.ts";
import type { ConnectOptions, TlsOptions } from "../api/connect.ts";

/** The environment variable that may hold a token. */
const TOKEN_VARIABLE = "FERRY_TOKEN";

/** The permission bits by which other users can access a file. */
const READABLE_BY_OTHERS = 0o077;

/** The options of the command line about credentials. */
export interface CredentialOptions {
  /** A file that holds a token. */
  "token-file"?: string | undefined;
  /** Whether connections are encrypted. `ca` and `pin` imply it. */
  tls: boolean;
  /** A file with certificates that are trusted in addition. */
  ca?: string | undefined;
  /** Fingerprints of certificates. That of the server has to be one of them. */
  pin: readonly string[];
}

/** The options of `connect` that the credentials become. */
export type Shown = Pick<ConnectOptions, "tls" | "token">;

/** Credentials for one server. */
export class Credentials {
  readonly #tls: boolean | TlsOptions;
  #token: string | undefined;
  #answer: Promise<string | undefined> | undefined;

  /**
   * Reads the credentials from the options and the environment.
   *
   * @throws {FerryError} `usage` for an invalid token or pin, and for a token that other users can read; `not_found`,
   * … where a file cannot be read
   */
  constructor(options: CredentialOptions, env: (name: string) => string | undefined) {
    const { "token-file": path, ca, pin } = options;
    const pins = pin.length === 0 ? undefined : pin.map((text) => `sha256:${parsePin(text)}`);
    this.#tls = ca !== undefined || pins
      ? { ca: ca === undefined ? undefined : [readCertificates(ca)], pins }
      : options.tls;
    this.#token = path === undefined ? tokenIn(env(TOKEN_VARIABLE)) : readToken(path);
  }

  /** What is known without a question. */
  get shown(): Shown {
    return { tls: this.#tls, token: this.#token };
  }

  /**
   * Connects. Where the server requires a token and none was given, the user is asked for it on the terminal.
   */
  async connect<T>(server: string, run: (shown: Shown) => Promise<T>): Promise<T> {
    const had = this.#token;
    try {
      return await run(this.shown);
    } catch (error) {
      const wanted = error instanceof FerryError && error.code === "auth_required" && !had;
      if (!wanted) throw error;
      // Several connections share one prompt.
      const token = await (this.#answer ??= askFor(server));
      if (token === undefined) throw error;
      this.#token = token;
      return await run(this.shown);
    }
  }
}

async function askFor(server: string): Promise<string | undefined> {
  // The prompt goes to standard output, which must not be a file or a pipe of results.
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) return undefined;
  // This module loads all of Node's `process`, which takes as long as the rest of the program.
  const { promptSecret } = await import("@std/cli/prompt-secret");
  const question = `Token for ${server}:`;
  return tokenIn(blocking(() => promptSecret(question, { mask: "" })) ?? undefined);
}

function tokenIn(text: string | undefined): string | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  return formatToken(parseToken(text));
}

/** Reads a token from the last line of a file. Lines above it may be comments. */
function readToken(path: string): string {
  const action = `read the token in ${quote(path)}`;
  try {
    const { text, mode } = readFileOrPipe(path);
    if (mode !== null && (mode & READABLE_BY_OTHERS) !== 0) {
      throw new FerryError("usage", "others can read it; chmod 600 it");
    }
    const lines = text.trimEnd();
    return formatToken(parseToken(lines.slice(lines.lastIndexOf("\n") + 1)));
  } catch (error) {
    throw toFerryError(error).during(action);
  }
}

function readCertificates(path: string): string {
  const action = `read the certificates in ${quote(path)}`;
  try {
    const { text } = readFileOrPipe(path);
    // A file without certificates would be ignored silently.
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
    throw new FerryError("usage", "there is none in PEM");
  } catch (error) {
    throw toFerryError(error).during(action);
  }
}
