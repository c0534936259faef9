/**
 * What a server knows of all clients: the grants of anonymous ones, and the tokens.
 *
 * @module
 */

import { type Clock, sleep, SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import { MECHANISM, ScramServer, type ScramVerifier } from "../../lib/security/scram.ts";
import type { Principal } from "./authorization.ts";
import { type Grants, mergeGrants } from "./grants.ts";
import { LoginThrottle } from "./login_throttle.ts";
import type { Issuer } from "./permit.ts";
import {
  type Challenge,
  decoyChallenge,
  sameSecret,
  type TokenRecord,
  type TokenTable,
} from "./token_table.ts";

/** Options of an {@linkcode Authority}. */
export interface AuthorityOptions {
  /** What clients may do that have not logged in. */
  anonymous: Grants;
  /** The tokens that clients may log in with. Default: undefined, no client is asked to log in. */
  tokens?: TokenTable | undefined;
  /** Tells the time. Default: the clock of the system. */
  clock?: Clock | undefined;
  /** Makes the server's half of a SCRAM nonce. Default: random. */
  nonce?: (() => string) | undefined;
  /** Delays logins after failed ones. Default: one that has seen none. */
  throttle?: LoginThrottle | undefined;
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
  /** The challenges of tokens that were removed while the server runs, by their ids. */
  readonly #removed = new Map<string, Challenge>();

  /** An authority that knows these tokens. */
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

  /** How clients log in: a SASL mechanism, or `none` where they are not asked to. */
  get mechanism(): string {
    return this.#tokens ? MECHANISM : "none";
  }

  /** Replaces the tokens. What tokens allowed that are removed or changed ends at once. */
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

  /** A client that has not logged in. */
  get anonymous(): Principal {
    return { grants: this.#anonymous, mayAuthenticate: this.#tokens !== undefined };
  }

  /** A client that has logged in with a token, which adds to what anonymous clients may do. */
  principalOf({ grants }: TokenRecord): Principal {
    return { grants: mergeGrants(this.#anonymous, grants), mayAuthenticate: false };
  }

  /** Begins a SCRAM exchange. */
  begin(clientFirst: string): ScramServer {
    return new ScramServer(clientFirst, this.#nonce?.());
  }

  /** A token by its id; undefined where there is none. It may have expired. */
  find(id: string): TokenRecord | undefined {
    return this.#tokens?.records.get(id);
  }

  /** The present record of a token, which may have expired; undefined where it is gone or has another secret. */
  current(token: TokenRecord): TokenRecord | undefined {
    const current = this.find(token.id);
    return current && sameSecret(current, token) ? current : undefined;
  }

  /**
   * A verifier for an id without a token: no secret fits it, and its challenge is the same each time, and the same as
   * before where the id had a token once. So a client cannot learn which ids have tokens.
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
