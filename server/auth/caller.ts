/**
 * Who makes a request: a client that showed a token, or nobody in particular.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import type { Scope } from "../../lib/core/scope.ts";
import type { Authority } from "./authority.ts";
import type { AccessRequest, Principal } from "./authorization.ts";
import { scopesOf } from "./grants.ts";
import { type Claimant, Permit } from "./permit.ts";
import { hasExpired, type TokenRecord } from "./token_table.ts";

/** The length of an owner's id in bytes, cut from a digest: enough to avoid collisions. */
const OWNER_BYTES = 16;

/** Who makes requests. */
export interface Caller {
  /**
   * Permits a request.
   *
   * @throws {FerryError} as `assertAllowed`
   */
  permit(request: AccessRequest): Permit;
  /** The scopes that it has anywhere. */
  readonly scopes: readonly Scope[];
  /** The token that it showed, whether still valid or not; undefined without one. */
  readonly shown: TokenRecord | undefined;
}

/** A client that may do what its token grants, for as long as that is valid, beside what anonymous clients may. */
export class TokenCaller implements Caller {
  readonly #authority: Authority;
  /** See {@linkcode Caller.shown}. */
  readonly shown: TokenRecord | undefined;
  /** The owner of the client's partial uploads: derived from the token that it showed. */
  readonly #owner: string;
  /** The client as it was at its last request; kept to be reused. */
  #claimant: Claimant | undefined;

  private constructor(authority: Authority, shown?: TokenRecord, owner = "") {
    this.#authority = authority;
    this.shown = shown;
    this.#owner = owner;
  }

  /** A client that has shown no token. */
  static anonymous(authority: Authority): TokenCaller {
    return new TokenCaller(authority);
  }

  /** A client that has proven that it knows a token. */
  static async withToken(authority: Authority, token: TokenRecord): Promise<TokenCaller> {
    return new TokenCaller(authority, token, await ownerOf(token));
  }

  /** See {@linkcode Caller.permit}. */
  permit(request: AccessRequest): Permit {
    return new Permit(this.#authority, this.#now, request);
  }

  /** What the client may do now. */
  get principal(): Principal {
    return this.#now.principal;
  }

  /** See {@linkcode Caller.scopes}. */
  get scopes(): Scope[] {
    return scopesOf(this.principal.grants);
  }

  /** The name of the client in the log; undefined for one that has shown no token. */
  get name(): string | undefined {
    return this.shown && `${this.shown.id} (${this.shown.name})`;
  }

  /** The token that it is logged in with; undefined for an anonymous client, also if its token is no longer valid. */
  get token(): TokenRecord | undefined {
    return this.#now.token;
  }

  /** The client as it is now: anonymous again once its token was removed, got another secret, or has expired. */
  get #now(): Claimant {
    const authority = this.#authority;
    const known = this.shown && authority.current(this.shown);
    const token = known && !hasExpired(known, authority.clock.now()) ? known : undefined;
    if (this.#claimant && this.#claimant.token === token) return this.#claimant;
    const principal = token ? authority.principalOf(token) : authority.anonymous;
    return this.#claimant = { principal, token, owner: token ? this.#owner : "" };
  }
}

/**
 * The owner id of the partial uploads of clients that log in with a token. It reveals nothing that would help to log
 * in.
 */
export async function ownerOf({ id, verifier: { storedKey } }: TokenRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(storedKey));
  return `${id}:${encodeHex(new Uint8Array(digest).subarray(0, OWNER_BYTES))}`;
}

/** The id of the token that an owner id was made of; undefined for the clients that cannot be told apart. */
export function tokenIdOf(owner: string): string | undefined {
  return owner === "" ? undefined : owner.slice(0, owner.lastIndexOf(":"));
}
