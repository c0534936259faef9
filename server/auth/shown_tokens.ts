/**
 * Logins of clients that show their token as a whole with every request, as programs that speak HTTP do.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { sameBytes } from "../../lib/core/constant_time.ts";
import { createVerifier } from "../../lib/security/scram.ts";
import { formatToken, type Token } from "../../lib/security/token.ts";
import type { Authority } from "./authority.ts";
import { TokenCaller } from "./caller.ts";

/** The maximum number of remembered tokens. Beyond that the one that was not shown for the longest time is forgotten. */
const MAX_REMEMBERED = 1024;

/** Who shows a token. */
export interface Showing {
  /** The key under which failures are counted. */
  readonly source: string;
  /** Called if the login may have to wait; its signal is aborted when the connection ends. */
  readonly ended: () => AbortSignal;
}

/**
 * Checks tokens that are shown as a whole. A check takes about a millisecond of computing, so tokens that were right are
 * remembered, by their digests.
 */
export class ShownTokens {
  readonly #authority: Authority;
  /** The clients by the digests of their tokens, ordered by the time at which these were last shown. */
  readonly #remembered = new Map<string, TokenCaller>();
  /** Checks in progress by the digests of the tokens and who shows them: requests that come together are checked once. */
  readonly #checks = new Map<string, Promise<TokenCaller>>();

  /** Checks the tokens of an authority. */
  constructor(authority: Authority) {
    this.#authority = authority;
  }

  /**
   * The client that a token belongs to. A remembered token is not delayed by failures of others from the same source.
   *
   * @throws {FerryError} as {@linkcode Authority.logIn}
   */
  async check(token: Token, showing: Showing): Promise<TokenCaller> {
    const key = createHash("sha256").update(formatToken(token)).digest("base64");
    const known = this.#recall(key);
    if (known) return known;
    const id = `${key} ${showing.source}`;
    const running = this.#checks.get(id);
    if (running) return await running;
    const check = this.#logIn(token, showing);
    this.#checks.set(id, check);
    try {
      const caller = await check;
      this.#remember(key, caller);
      return caller;
    } finally {
      this.#checks.delete(id);
    }
  }

  async #logIn({ id, secret }: Token, { source, ended }: Showing): Promise<TokenCaller> {
    const authority = this.#authority;
    const claimed = authority.find(id);
    const signal = ended();
    const token = await authority.logIn(claimed, {
      source,
      signal,
      async check() {
        // Computed for every id, so that the response time does not reveal which ids have tokens.
        const decoy = await authority.decoy(id);
        const verifier = claimed?.verifier ?? decoy;
        const { storedKey } = await createVerifier(secret, verifier);
        return sameBytes(storedKey, verifier.storedKey);
      },
    });
    return await TokenCaller.withToken(authority, token);
  }

  #recall(key: string): TokenCaller | undefined {
    const caller = this.#remembered.get(key);
    if (!caller) return undefined;
    this.#remembered.delete(key);
    if (!caller.token) return undefined;
    this.#remembered.set(key, caller);
    return caller;
  }

  #remember(key: string, caller: TokenCaller): void {
    this.#remembered.set(key, caller);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED) this.#remembered.delete(oldest!);
  }
}
