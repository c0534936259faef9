/**
 * The tokens of a server, in memory.
 *
 * A record does not allow logging in: instead of the secret it contains what SCRAM needs to check it (RFC 5802, section
 * 2.2).
 *
 * @module
 */

import { sameBytes } from "../../lib/core/constant_time.ts";
import { createVerifier, SCRAM_ITERATIONS, type ScramVerifier } from "../../lib/security/scram.ts";
import { createToken, formatToken } from "../../lib/security/token.ts";
import { formatGrants, type Grants } from "./grants.ts";

/** Size of a {@linkcode TokenTable.decoyKey} in bytes. */
export const DECOY_KEY_BYTES = 32;

/** Size of a salt in bytes. */
export const SALT_BYTES = 16;

/** What a server stores of a token. */
export interface TokenRecord {
  /** Identifies the token; not secret. */
  readonly id: string;
  /** The name of the token, for people. */
  readonly name: string;
  /** When it was created, in milliseconds since 1970. */
  readonly created: number;
  /** When it expires, in milliseconds since 1970; null for never. */
  readonly expires: number | null;
  /** What a client may do that logs in with it. */
  readonly grants: Grants;
  /** The most bytes below the directories that it may write to; undefined if it sets no limit. */
  readonly quota?: number | undefined;
  /** The SCRAM verifier, which checks the secret. */
  readonly verifier: ScramVerifier;
}

/** What the server sends in answer to the first message of a SCRAM exchange. */
export type Challenge = Pick<ScramVerifier, "salt" | "iterations">;

/** All the tokens of a server. */
export interface TokenTable {
  /** The tokens by their ids. */
  readonly records: ReadonlyMap<string, TokenRecord>;
  /** A random key that is stored with the tokens. The challenge for an id without a token is derived from it. */
  readonly decoyKey: Uint8Array;
  /** The challenges of revoked tokens by their ids, if they differ from those derived from the key. */
  readonly revoked?: ReadonlyMap<string, Challenge> | undefined;
}

/** Creates a table of tokens. */
export function tokenTable(
  records: Iterable<TokenRecord>,
  decoyKey: Uint8Array = DECOY_KEY,
  revoked: ReadonlyMap<string, Challenge> = new Map(),
): TokenTable {
  return { records: new Map([...records].map((record) => [record.id, record])), decoyKey, revoked };
}

/**
 * The challenge for an id without a token: the same each time, and indistinguishable from one for a token. A new token
 * gets the challenge that its id had before, so nobody learns which ids have or had tokens.
 */
export async function decoyChallenge(decoyKey: Uint8Array, id: string): Promise<Challenge> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const secret = new Uint8Array(decoyKey);
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  const bytes = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(id));
  return { salt: new Uint8Array(bytes).slice(0, SALT_BYTES), iterations: SCRAM_ITERATIONS };
}

/** Generates a key for {@linkcode TokenTable.decoyKey}. */
export function newDecoyKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(DECOY_KEY_BYTES));
}

/**
 * The key of all tables that are not stored in a file, so that the challenges of ids stay the same when such a table is
 * replaced.
 */
const DECOY_KEY = newDecoyKey();

/** Options of {@linkcode newToken}. */
export interface NewTokenOptions {
  /** The name of the token, for people. */
  name: string;
  /** What a client may do that logs in with it. */
  grants: Grants;
  /** When it expires, in milliseconds since 1970; null for never. */
  expires: number | null;
  /** See {@linkcode TokenRecord.quota}. Default: undefined, no limit. */
  quota?: number | undefined;
  /**
   * The `decoyKey` of the table that the token is for, so that its id has the same challenge before the token is
   * created and after it is revoked. Default: the key shared by all tables of this process without a key of their own.
   */
  decoyKey?: Uint8Array | undefined;
}

/** A token that was just generated. */
export interface NewToken {
  /** The token as a line of text: a secret for the client that logs in with it. */
  token: string;
  /** The record that the server stores. */
  record: TokenRecord;
}

/** Generates a token. */
export async function newToken(
  { name, grants, expires, quota, decoyKey = DECOY_KEY }: NewTokenOptions,
): Promise<NewToken> {
  const token = createToken();
  const verifier = await createVerifier(token.secret, await decoyChallenge(decoyKey, token.id));
  const limit = quota === undefined ? {} : { quota };
  return {
    token: formatToken(token),
    record: { id: token.id, name, created: Date.now(), expires, grants, ...limit, verifier },
  };
}

/** Whether two tokens with the same id have the same secret. */
export function sameSecret(a: TokenRecord, b: TokenRecord): boolean {
  return sameBytes(a.verifier.storedKey, b.verifier.storedKey);
}

/** Whether two tokens with the same id have the same secret, grants and expiry. */
export function sameRights(a: TokenRecord, b: TokenRecord): boolean {
  return sameSecret(a, b) && a.expires === b.expires &&
    formatGrants(a.grants) === formatGrants(b.grants);
}

/** Whether a token has expired. */
export function hasExpired({ expires }: TokenRecord, now: number): boolean {
  return expires !== null && expires <= now;
}
