/**
 * Who the client of a connection is: anonymous, or logged in with a token.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { FerryError } from "../../lib/core/errors.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { ScramServer } from "../../lib/security/scram.ts";
import type { Authority } from "./authority.ts";
import type { AccessRequest, Principal } from "./authorization.ts";
import { scopesOf } from "./grants.ts";
import { type Claimant, Permit } from "./permit.ts";
import type { TokenRecord } from "./token_table.ts";

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

/** The identity of the client of one connection. */
export class Identity implements Caller {
  readonly #authority: Authority;
  readonly #source: string;
  /**
   * Aborted when the connection ends. Created by the first login, since most of the many connections do not need it.
   */
  #ended: AbortController | undefined;
  #exchange: { scram: ScramServer; record: TokenRecord | undefined } | undefined;
  #shown: TokenRecord | undefined;
  /** The owner of the client's partial uploads: derived from the token that it logged in with. */
  #owner = "";
  /** The client as it was at its last request; kept to be reused. */
  #claimant: Claimant | undefined;

  /**
   * An anonymous client.
   *
   * @param source the key under which its failed logins are counted
   */
  constructor(authority: Authority, source: string) {
    this.#authority = authority;
    this.#source = source;
  }

  /** How clients log in: the name of a SASL mechanism, or `none` if there is no login. */
  get mechanism(): string {
    return this.#authority.mechanism;
  }

  /**
   * Permits a request.
   *
   * @throws {FerryError} as `assertAllowed`
   */
  permit(request: AccessRequest): Permit {
    return new Permit(this.#authority, this.#now, request);
  }

  /** What the client may do now. */
  get principal(): Principal {
    return this.#now.principal;
  }

  /** The client as it is now: anonymous again once its token was removed, got another secret, or has expired. */
  get #now(): Claimant {
    const authority = this.#authority;
    const known = this.#shown && authority.current(this.#shown);
    const token = known && !hasExpired(known, authority.clock.now()) ? known : undefined;
    if (this.#claimant && this.#claimant.token === token) return this.#claimant;
    const principal = token ? authority.principalOf(token) : authority.anonymous;
    return this.#claimant = { principal, token, owner: token ? this.#owner : "" };
  }

  /** The scopes that the client has anywhere. */
  get scopes(): Scope[] {
    return scopesOf(this.principal.grants);
  }

  /** The token that the client last logged in with, whether still valid or not. */
  get shown(): TokenRecord | undefined {
    return this.#shown;
  }

  /** The name of the client in the log; undefined for a client that has not logged in. */
  get name(): string | undefined {
    return this.#shown && `${this.#shown.id} (${this.#shown.name})`;
  }

  /**
   * Answers the first message of a SCRAM exchange. The client is anonymous until the exchange has ended.
   *
   * @throws {FerryError} `bad_header`
   */
  async challenge(clientFirst: string): Promise<string> {
    this.#exchange = undefined;
    this.#shown = undefined;
    const scram = this.#authority.begin(clientFirst);
    const record = this.#authority.find(scram.username);
    // Computed for every id, so that the response time does not reveal which ids have tokens.
    const decoy = await this.#authority.decoy(scram.username);
    this.#exchange = { scram, record };
    return scram.challenge(record?.verifier ?? decoy);
  }

  /**
   * Checks the last message of a SCRAM exchange and answers it with the server's proof. Waits first if logins from the
   * same source have failed recently. This is the only place where a failed login is counted.
   *
   * @throws {FerryError} `denied`; `bad_header`; `busy` after too many failed logins
   */
  async prove(clientFinal: string): Promise<string> {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (!exchange) throw new FerryError("bad_header", "no exchange has begun");
    const { throttle, clock } = this.#authority;
    this.#ended ??= new AbortController();
    await throttle.admit(this.#source, this.#ended.signal);
    const { scram, record } = exchange;
    const serverFinal = await scram.finish(clientFinal);
    // The token may have been removed since the exchange began.
    const token = record && this.#authority.current(record);
    if (serverFinal === undefined || !token) {
      throttle.countFailure(this.#source);
      throw new FerryError("denied", "it is not valid");
    }
    if (hasExpired(token, clock.now())) throw new FerryError("denied", "it has expired");
    this.#owner = await ownerOf(token);
    this.#shown = token;
    return serverFinal;
  }

  /** Aborts a login that is waiting. */
  close(): void {
    this.#ended ??= new AbortController();
    this.#ended.abort(new FerryError("closed", "the connection ended"));
  }
}

/**
 * The owner id of the partial uploads of clients that log in with a token. It reveals nothing that would help to log
 * in.
 */
async function ownerOf({ id, verifier: { storedKey } }: TokenRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(storedKey));
  return `${id}:${encodeHex(new Uint8Array(digest).subarray(0, OWNER_BYTES))}`;
}

function hasExpired({ expires }: TokenRecord, now: number): boolean {
  return expires !== null && expires <= now;
}
