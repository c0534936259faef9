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

/** How many bytes of a digest tell owners apart: enough that no two of them collide. */
const OWNER_BYTES = 16;

/** The identity of one connection's client. */
export class Identity {
  readonly #authority: Authority;
  readonly #source: string;
  /** Aborted when the connection ends. Made by the first login: there may be many connections, and most need none. */
  #ended: AbortController | undefined;
  #exchange: { scram: ScramServer; record: TokenRecord | undefined } | undefined;
  #shown: TokenRecord | undefined;
  /** The owner of the partial uploads of whoever has the token that was shown. */
  #owner = "";
  /** The client as it was at its last request. */
  #claimant: Claimant | undefined;

  /**
   * An anonymous client.
   *
   * @param source key under which its failed logins are counted
   */
  constructor(authority: Authority, source: string) {
    this.#authority = authority;
    this.#source = source;
  }

  /** How clients log in: a SASL mechanism, or `none` where they are not asked to. */
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

  /** The client as it is now: anonymous again once its token was removed, has got another secret or has expired. */
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

  /** The token that was shown last, whether it is still valid or not. */
  get shown(): TokenRecord | undefined {
    return this.#shown;
  }

  /** The name of the client in the log; undefined for one that has not logged in. */
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
    // Computed for every id, so that the time it takes does not tell which ids have tokens.
    const decoy = await this.#authority.decoy(scram.username);
    this.#exchange = { scram, record };
    return scram.challenge(record?.verifier ?? decoy);
  }

  /**
   * Checks the last message of a SCRAM exchange and answers it with the server's proof. Waits before where logins from
   * the same source have failed lately. This is the only place where a failed login is counted.
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
    // It may have been removed since the exchange began.
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

  /** Ends a login that is waiting. */
  close(): void {
    this.#ended ??= new AbortController();
    this.#ended.abort(new FerryError("closed", "the connection ended"));
  }
}

/** The owner of the partial uploads of whoever has a token. It reveals nothing that would help to log in. */
async function ownerOf({ id, verifier: { storedKey } }: TokenRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(storedKey));
  return `${id}:${encodeHex(new Uint8Array(digest).subarray(0, OWNER_BYTES))}`;
}

function hasExpired({ expires }: TokenRecord, now: number): boolean {
  return expires !== null && expires <= now;
}
