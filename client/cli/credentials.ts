/**
 * Where the programs take from whom they trust and what they show: options, the environment, a terminal.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { blocking } from "../../lib/cli/signals.ts";
import { parsePin } from "../../lib/security/certificate_pin.ts";
import { readFileOrPipe } from "../../lib/cli/input_file.ts";
import { formatToken, parseToken } from "../../lib/security/token.ts";
import type { ConnectOptions, TlsOptions } from "../api/connect.ts";

/** The variable of the environment that may hold a token. */
const TOKEN_VARIABLE = "FERRY_TOKEN";

/** Who may read a token may be somebody else. */
const READABLE_BY_OTHERS = 0o077;

/** The options that credentials are made of. */
export interface CredentialOptions {
  /** A file that holds a token. */
  "token-file"?: string | undefined;
  /** Whether connections are encrypted; the next two say so too. */
  tls: boolean;
  /** A file of certificates that are trusted too. */
  ca?: string | undefined;
  /** Fingerprints of certificates, of which one has to be the server's. */
  pin: readonly string[];
}

/** What `connect` is given of them. */
type Shown = Pick<ConnectOptions, "tls" | "token">;

/** Credentials for one server. */
export class Credentials {
  readonly #tls: boolean | TlsOptions;
  #token: string | undefined;
  #answer: Promise<string | undefined> | undefined;

  /**
   * Credentials as the options and the environment give them.
   *
   * @throws {FerryError} `usage` for a token or a pin that is none, and for a token that others can read;
   * `not_found`, … where a file cannot be read
   */
  constructor(options: CredentialOptions, env: (name: string) => string | undefined) {
    const { "token-file": path, ca, pin } = options;
    const pins = pin.length === 0 ? undefined : pin.map((text) => `sha256:${parsePin(text)}`);
    this.#tls = ca !== undefined || pins
      ? { ca: ca === undefined ? undefined : [readCertificates(ca)], pins }
      : options.tls;
    this.#token = path === undefined ? tokenIn(env(TOKEN_VARIABLE)) : readToken(path);
  }

  /**
   * Connects with what there is. Where that is no token and the server wants one, the user is asked, if there
   * is one.
   */
  async connect<T>(server: string, run: (shown: Shown) => Promise<T>): Promise<T> {
    const had = this.#token;
    try {
      return await run({ tls: this.#tls, token: had });
    } catch (error) {
      const wanted = error instanceof FerryError && error.code === "auth_required" && !had;
      if (!wanted) throw error;
      // Several connections want the same token: the user is asked once.
      const token = await (this.#answer ??= askFor(server));
      if (token === undefined) throw error;
      this.#token = token;
      return await run({ tls: this.#tls, token });
    }
  }
}

async function askFor(server: string): Promise<string | undefined> {
  // The question is written to standard output, which must not be where results go.
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) return undefined;
  // It loads all of Node's `process`, which takes as long as the rest of the program.
  const { promptSecret } = await import("@std/cli/prompt-secret");
  const question = `Token for ${server}:`;
  return tokenIn(blocking(() => promptSecret(question, { mask: "" })) ?? undefined);
}

function tokenIn(text: string | undefined): string | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  return formatToken(parseToken(text));
}

/** Reads the last line of a file: what stands above it may say whose token that is. */
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
    // Where there are none, none would be trusted, and nobody would know why.
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
    throw new FerryError("usage", "there is none in PEM");
  } catch (error) {
    throw toFerryError(error).during(action);
  }
}
