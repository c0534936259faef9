/**
 * Who a client is: what it may do before it has shown a token, and after.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { FerryError } from "../../lib/core/errors.ts";
import { MECHANISM, ScramServer, type ScramVerifier } from "../../lib/security/scram.ts";
import {
  type Grants,
  mergeGrants,
  type Principal,
  type Question,
  scopesOf,
} from "./authorization.ts";
import type { Scope } from "../../lib/core/scope.ts";
import { type Claimant, type Issuer, Permit } from "./permit.ts";
import { Throttle } from "./login_throttle.ts";
import {
  type Challenge,
  decoyChallenge,
  sameSecret,
  type TokenRecord,
  type TokenTable,
} from "./token_file.ts";

/** As much of a digest as nobody finds twice. */
const OWNER_BYTES = 16;

/** What an {@linkcode Authority} decides by. */
export interface AuthorityOptions {
  /** What anybody may do. */
  anonymous: Grants;
  /** The tokens that may be shown; none at all where nobody is asked for one. */
  tokens?: TokenTable | undefined;
  /** The server's half of a nonce; random unless told otherwise. */
  nonce?: (() => string) | undefined;
  /** Slows down those who guess. */
  throttle?: Throttle | undefined;
}

/** What a server knows of all who may connect. */
export class Authority implements Issuer {
  readonly #anonymous: Grants;
  readonly #nonce: (() => string) | undefined;
  /** Slows down those who guess. */
  readonly throttle: Throttle;
  readonly #listeners = new Set<() => void>();
  #tokens: TokenTable | undefined;
  #generation = 0;
  /** What ids were answered with that are not there any more, for as long as this runs. */
  readonly #removed = new Map<string, Challenge>();

  /** An authority that knows these tokens. */
  constructor({ anonymous, tokens, nonce, throttle = new Throttle() }: AuthorityOptions) {
    this.#anonymous = anonymous;
    this.#tokens = tokens;
    this.#nonce = nonce;
    this.throttle = throttle;
  }

  /** How a client is to prove who it is: `none` where nobody asks. */
  get mechanism(): string {
    return this.#tokens ? MECHANISM : "none";
  }

  /** Knows these tokens from now on. What others allowed ends at once. */
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

  /** Somebody who has shown nothing. */
  get anonymous(): Principal {
    return { grants: this.#anonymous, mayAuthenticate: this.#tokens !== undefined };
  }

  /** Begins an exchange. */
  begin(clientFirst: string): ScramServer {
    return new ScramServer(clientFirst, this.#nonce?.());
  }

  /** Somebody who has shown a token: it adds to what anybody may do. */
  principalOf({ grants }: TokenRecord): Principal {
    return { grants: mergeGrants(this.#anonymous, grants), mayAuthenticate: false };
  }

  /** A token as it is known now, unless it is gone or has another secret; it may have ended. */
  current(token: TokenRecord): TokenRecord | undefined {
    const current = this.find(token.id);
    return current && sameSecret(current, token) ? current : undefined;
  }

  /** A token, if it is there; it may have ended. */
  find(id: string): TokenRecord | undefined {
    return this.#tokens?.records.get(id);
  }

  /**
   * What an id that is not there is answered with: it looks like that of a token, always the same for the
   * same id, also where there was a token once, and no secret fits. So nobody learns which ids there are.
   */
  async decoy(id: string): Promise<ScramVerifier> {
    const decoy = await decoyChallenge(this.#tokens?.decoyKey ?? new Uint8Array(), id);
    const challenge = this.#tokens?.revoked?.get(id) ?? this.#removed.get(id) ?? decoy;
    const unknown = () => crypto.getRandomValues(new Uint8Array(32));
    return { ...challenge, storedKey: unknown(), serverKey: unknown() };
  }
}

/** Who the client of one connection is. */
export class Identity {
  readonly #authority: Authority;
  readonly #source: string;
  /** Most connections never wait, and there may be many of them. */
  #stop: AbortController | undefined;
  #exchange: { scram: ScramServer; record: TokenRecord | undefined } | undefined;
  #shown: TokenRecord | undefined;
  /** Who owns what the shown token leaves behind. */
  #owner = "";
  /** Who this was when it was asked for last. */
  #claimant: Claimant | undefined;

  /**
   * Somebody who has shown nothing yet.
   *
   * @param source what its tries are counted by: `sourceOf` its address
   */
  constructor(authority: Authority, source: string) {
    this.#authority = authority;
    this.#source = source;
  }

  /** How a client is to prove who it is: `none` where nobody asks. */
  get mechanism(): string {
    return this.#authority.mechanism;
  }

  /**
   * Allows a request.
   *
   * @throws {FerryError} as {@linkcode Permit.assert}
   */
  permit(question: Question): Permit {
    return new Permit(this.#authority, this.#now, question);
  }

  /** What may be done now, and whether a token could help to more. */
  get principal(): Principal {
    return this.#now.principal;
  }

  /**
   * Who this is now. A token that was taken back, that has got another secret or that has ended is one that was
   * never shown.
   */
  get #now(): Claimant {
    const authority = this.#authority;
    const known = this.#shown && authority.current(this.#shown);
    const token = known && !hasEnded(known) ? known : undefined;
    if (this.#claimant && this.#claimant.token === token) return this.#claimant;
    const principal = token ? authority.principalOf(token) : authority.anonymous;
    return this.#claimant = { principal, token, owner: token ? this.#owner : "" };
  }

  /** What may be done somewhere at least. */
  get scopes(): Scope[] {
    return scopesOf(this.principal.grants);
  }

  /** The token that was shown last, whether it still counts or not. */
  get shown(): TokenRecord | undefined {
    return this.#shown;
  }

  /** What this is called in the log. */
  get name(): string | undefined {
    return this.#shown && `${this.#shown.id} (${this.#shown.name})`;
  }

  /**
   * Answers the first message of an exchange.
   *
   * @throws {FerryError} `bad_header`
   */
  async challenge(clientFirst: string): Promise<string> {
    this.#exchange = undefined;
    this.#shown = undefined;
    const scram = this.#authority.begin(clientFirst);
    const record = this.#authority.find(scram.username);
    // It takes as long where there is such a token.
    const decoy = await this.#authority.decoy(scram.username);
    this.#exchange = { scram, record };
    return scram.challenge(record?.verifier ?? decoy);
  }

  /**
   * Answers the last message of an exchange with the server's proof. Where others of the same source have
   * failed lately, it waits.
   *
   * @throws {FerryError} `denied`; `bad_header`; `busy` where too many have failed
   */
  async prove(clientFinal: string): Promise<string> {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (!exchange) throw new FerryError("bad_header", "no exchange has begun");
    const { throttle } = this.#authority;
    this.#stop ??= new AbortController();
    await throttle.admit(this.#source, this.#stop.signal);
    const { scram, record } = exchange;
    const serverFinal = await scram.finish(clientFinal);
    // It may have been taken back since the exchange began.
    const token = record && this.#authority.current(record);
    if (serverFinal === undefined || !token) {
      throttle.failed(this.#source);
      throw new FerryError("denied", "it is not valid");
    }
    if (hasEnded(token)) throw new FerryError("denied", "it has expired");
    this.#owner = await ownerKey(token);
    this.#shown = token;
    return serverFinal;
  }

  /** Gives up waiting. */
  close(): void {
    this.#stop ??= new AbortController();
    this.#stop.abort(new FerryError("closed", "the connection ended"));
  }
}

/** What stands for a token in files of the server: it tells nothing that helps to show it. */
async function ownerKey({ id, verifier: { storedKey } }: TokenRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(storedKey));
  return `${id}:${encodeHex(new Uint8Array(digest).subarray(0, OWNER_BYTES))}`;
}

function hasEnded({ expires }: TokenRecord): boolean {
  return expires !== null && expires <= Date.now();
}
