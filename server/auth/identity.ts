/**
 * Who the client of a connection is: anonymous, or logged in with a token.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { ScramServer } from "../../lib/security/scram.ts";
import type { Authority } from "./authority.ts";
import type { AccessRequest, Principal } from "./authorization.ts";
import { type Caller, TokenCaller } from "./caller.ts";
import type { Permit } from "./permit.ts";
import type { TokenRecord } from "./token_table.ts";

/** The identity of the client of one connection. */
export class Identity implements Caller {
  readonly #authority: Authority;
  readonly #source: string;
  /**
   * Aborted when the connection ends. Created by the first login, since most of the many connections do not need it.
   */
  #ended: AbortController | undefined;
  #exchange: { scram: ScramServer; record: TokenRecord | undefined } | undefined;
  #caller: TokenCaller;

  /**
   * An anonymous client.
   *
   * @param source the key under which its failed logins are counted
   */
  constructor(authority: Authority, source: string) {
    this.#authority = authority;
    this.#source = source;
    this.#caller = TokenCaller.anonymous(authority);
  }

  /** How clients log in: the name of a SASL mechanism, or `none` if there is no login. */
  get mechanism(): string {
    return this.#authority.mechanism;
  }

  /** See {@linkcode Caller.permit}. */
  permit(request: AccessRequest): Permit {
    return this.#caller.permit(request);
  }

  /** What the client may do now. */
  get principal(): Principal {
    return this.#caller.principal;
  }

  /** The scopes that the client has anywhere. */
  get scopes(): Scope[] {
    return this.#caller.scopes;
  }

  /** The token that the client last logged in with, whether still valid or not. */
  get shown(): TokenRecord | undefined {
    return this.#caller.shown;
  }

  /** The name of the client in the log; undefined for a client that has not logged in. */
  get name(): string | undefined {
    return this.#caller.name;
  }

  /**
   * Answers the first message of a SCRAM exchange. The client is anonymous until the exchange has ended.
   *
   * @throws {FerryError} `bad_header`
   */
  async challenge(clientFirst: string): Promise<string> {
    this.#exchange = undefined;
    this.#caller = TokenCaller.anonymous(this.#authority);
    const scram = this.#authority.begin(clientFirst);
    const record = this.#authority.find(scram.username);
    // Computed for every id, so that the response time does not reveal which ids have tokens.
    const decoy = await this.#authority.decoy(scram.username);
    this.#exchange = { scram, record };
    return scram.challenge(record?.verifier ?? decoy);
  }

  /**
   * Checks the last message of a SCRAM exchange and answers it with the server's proof. Waits first if logins from the
   * same source have failed recently.
   *
   * @throws {FerryError} as {@linkcode Authority.logIn}; `bad_header`
   */
  async prove(clientFinal: string): Promise<string> {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (!exchange) throw new FerryError("bad_header", "no exchange has begun");
    this.#ended ??= new AbortController();
    const { scram, record } = exchange;
    let serverFinal: string | undefined;
    const token = await this.#authority.logIn(record, {
      source: this.#source,
      signal: this.#ended.signal,
      check: async () => (serverFinal = await scram.finish(clientFinal)) !== undefined,
    });
    this.#caller = await TokenCaller.withToken(this.#authority, token);
    return serverFinal!;
  }

  /** Aborts a login that is waiting. */
  close(): void {
    this.#ended ??= new AbortController();
    this.#ended.abort(new FerryError("closed", "the connection ended"));
  }
}
