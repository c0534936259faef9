/**
 * What applies to all clients of a server: the grants of anonymous clients, and the tokens.
 *
 * @module
 */

import { type Clock, sleep, SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { MECHANISM, ScramServer, type ScramVerifier } from "../../lib/security/scram.ts";
import type { Principal } from "./authorization.ts";
import { type Grants, mergeGrants } from "./grants.ts";
import { LoginThrottle } from "./login_throttle.ts";
import type { Issuer } from "./permit.ts";
import {
  type Challenge,
  decoyChallenge,
  hasExpired,
  sameSecret,
  type TokenRecord,
  type TokenTable,
} from "./token_table.ts";

/** Options of an {@linkcode Authority}. */
export interface AuthorityOptions {
  /** What clients may do that are not logged in. */
  anonymous: Grants;
  /** The tokens that clients may log in with. Default: undefined, no client is asked to log in. */
  tokens?: TokenTable | undefined;
  /** The clock. Default: that of the system. */
  clock?: Clock | undefined;
  /** Generates the server's part of a SCRAM nonce. Default: a random one. */
  nonce?: (() => string) | undefined;
  /** Delays logins after failed ones. Default: a new throttle. */
  throttle?: LoginThrottle | undefined;
}

/** One attempt to log in. */
export interface LoginAttempt {
  /** The key under which failures are counted. */
  source: string;
  /** Aborted when the connection ends. */
  signal: AbortSignal;
  /** Checks whether the client knows the secret. Called when it is the attempt's turn. */
  check: () => Promise<boolean>;
}

/** The grants and tokens of one server. */
export class Authority implements Issuer {
  /** See {@linkcode Issuer.clock}. */
  readonly clock: Clock;
  readonly #anonymous: Grants;
  readonly #nonce: (() => string) | undefined;
  /** Delays logins after failed ones. */
  readonly throttle: LoginThrottle;
  readonly #listeners = new Set<() => void>();
  #tokens: TokenTable | undefined;
  #generation = 0;
  /** The SCRAM challenges of tokens that were removed while the server is running, by their ids. */
  readonly #removed = new Map<string, Challenge>();

  /** Creates an authority with these tokens. */
  constructor(
    { anonymous, tokens, nonce, clock = SYSTEM_CLOCK, throttle = throttleBy(clock) }:
      AuthorityOptions,
  ) {
    this.clock = clock;
    this.#anonymous = anonymous;
    this.#tokens = tokens;
    this.#nonce = nonce;
    this.throttle = throttle;
  }

  /** How clients log in: the name of a SASL mechanism, or `none` if there is no login. */
  get mechanism(): string {
    return this.#tokens ? MECHANISM : "none";
  }

  /** Replaces the tokens. Requests that were allowed by a token that is removed or changed end immediately. */
  replace(tokens: TokenTable): void {
    for (const [id, { verifier: { salt, iterations } }] of this.#tokens?.records ?? []) {
      if (!tokens.records.has(id)) this.#removed.set(id, { salt, iterations });
    }
    this.#tokens = tokens;
    this.#generation++;
    for (const listener of [...this.#listeners]) listener();
  }

  /** See {@linkcode Issuer.generation}. */
  get generation(): number {
    return this.#generation;
  }

  /** See {@linkcode Issuer.onReplaced}. */
  onReplaced(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** The principal of a client that is not logged in. */
  get anonymous(): Principal {
    return { grants: this.#anonymous, mayAuthenticate: this.#tokens !== undefined };
  }

  /**
   * The principal of a client that is logged in with a token. The token's grants are added to those of anonymous
   * clients.
   */
  principalOf({ grants }: TokenRecord): Principal {
    return { grants: mergeGrants(this.#anonymous, grants), mayAuthenticate: false };
  }

  /** Begins a SCRAM exchange. */
  begin(clientFirst: string): ScramServer {
    return new ScramServer(clientFirst, this.#nonce?.());
  }

  /** A token by its id; undefined if there is none. It may have expired. */
  find(id: string): TokenRecord | undefined {
    return this.#tokens?.records.get(id);
  }

  /** The current record of a token, which may have expired; undefined if it was removed or has got another secret. */
  current(token: TokenRecord): TokenRecord | undefined {
    const current = this.find(token.id);
    return current && sameSecret(current, token) ? current : undefined;
  }

  /**
   * Lets a client log in with a token. Waits first if logins from the same source have failed recently. This is the only
   * place where a failed login is counted.
   *
   * @param token the token that it claims to know; undefined if there is none with that id, so that it will fail
   * @returns the token as it is now
   * @throws {FerryError} `denied`; `busy` after too many failed logins
   * @throws the signal's abort reason if it is aborted meanwhile
   */
  async logIn(
    token: TokenRecord | undefined,
    { source, signal, check }: LoginAttempt,
  ): Promise<TokenRecord> {
    await this.throttle.admit(source, signal);
    const right = await check();
    // The token may have been removed since the attempt began.
    const current = token && this.current(token);
    if (!right || !current) {
      this.throttle.countFailure(source);
      throw new FerryError("denied", "it is not valid");
    }
    if (hasExpired(current, this.clock.now())) throw new FerryError("denied", "it has expired");
    return current;
  }

  /**
   * A verifier for an id without a token. No secret matches it. Its challenge is the same each time, and the same as
   * that of a token that the id had before. So a client cannot learn which ids have tokens.
   */
  async decoy(id: string): Promise<ScramVerifier> {
    const decoy = await decoyChallenge(this.#tokens?.decoyKey ?? new Uint8Array(), id);
    const challenge = this.#tokens?.revoked?.get(id) ?? this.#removed.get(id) ?? decoy;
    const unknown = () => crypto.getRandomValues(new Uint8Array(32));
    return { ...challenge, storedKey: unknown(), serverKey: unknown() };
  }
}

function throttleBy(clock: Clock): LoginThrottle {
  return new LoginThrottle({
    now: () => clock.monotonic(),
    wait: (ms, signal) => sleep(clock, ms, signal),
  });
}
