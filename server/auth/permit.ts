/**
 * The permission for one request, which may end while the request runs.
 *
 * @module
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Storage } from "../storage/storage.ts";
import {
  type AccessRequest,
  assertAllowed,
  boundsOf,
  type LinkLimits,
  type Principal,
} from "./authorization.ts";
import type { GrantedDirectory } from "./grants.ts";
import { sameRights, type TokenRecord } from "./token_table.ts";

/**
 * The interval at which the clock is checked for the expiry of the token while a request runs, in milliseconds. A
 * single timer would not notice that the clock was set, or that the machine was suspended.
 */
const POLL_MS = 60_000;

/** The source of the tokens that are valid now. */
export interface Issuer {
  /** The clock by which tokens expire. */
  readonly clock: Clock;
  /** The principal of a client that is not logged in. */
  readonly anonymous: Principal;
  /** The number of times the tokens were replaced. */
  readonly generation: number;
  /** A token by its id; undefined if there is none. It may have expired. */
  find(id: string): TokenRecord | undefined;
  /** The error for a request whose token is no longer valid. Default: undefined, that a token is needed. */
  ended?(): FerryError;
  /** Calls a function each time that the tokens are replaced, until the returned value is disposed of. */
  onReplaced(listener: () => void): Disposable;
}

/** The client that makes a request, as it was when the request arrived. */
export interface Claimant {
  /** What it may do. */
  readonly principal: Principal;
  /** The record of the token that it was logged in with; undefined for an anonymous client. */
  readonly token: TokenRecord | undefined;
  /** The owner of its partial uploads. */
  readonly owner: string;
}

/**
 * Permits one request. It is valid for as long as the client's token stays as it was when the request arrived. Once the
 * token is removed, changed or expired, the client may only do what anonymous clients may.
 */
export class Permit {
  readonly #issuer: Issuer;
  readonly #claimant: Claimant;
  readonly #request: AccessRequest;
  /** The generation of the tokens in which the token was last found unchanged. */
  #checked: number;
  /**
   * Whether the token was found to be no longer valid. The permit stays refused then, even if the token is restored.
   */
  #over = false;

  /**
   * Permits a request.
   *
   * @throws {FerryError} as {@linkcode assertAllowed}
   */
  constructor(issuer: Issuer, claimant: Claimant, request: AccessRequest) {
    this.#issuer = issuer;
    this.#claimant = claimant;
    this.#request = request;
    this.#checked = issuer.generation;
    this.assert();
  }

  /** The owner of the client's partial uploads. */
  get owner(): string {
    return this.#claimant.owner;
  }

  /** What a share link limits, if the client came by one. */
  get link(): LinkLimits | undefined {
    return this.#claimant.principal.link;
  }

  /**
   * Fails if the request may not continue. Called again before each step that cannot be undone.
   *
   * @param request another request to check instead, for example about one of many names. Default: the request itself.
   * @throws {FerryError} `auth_required` if the token that allowed it is no longer valid; otherwise as {@linkcode
   * assertAllowed}
   */
  assert(request: AccessRequest = this.#request): void {
    if (this.#holds()) return assertAllowed(this.#claimant.principal, request);
    try {
      assertAllowed(this.#issuer.anonymous, request);
    } catch (cause) {
      if (this.#issuer.ended) throw this.#issuer.ended();
      const reason = "the token that allowed it was taken back, was changed or has expired";
      throw new FerryError("auth_required", reason, { cause });
    }
  }

  /** Whether another request would be allowed; see {@linkcode Permit.assert}. */
  allows(request: AccessRequest): boolean {
    try {
      this.assert(request);
      return true;
    } catch {
      return false;
    }
  }

  /** The directories that the client may read everything in; "" is the root. A visitor by a link has none. */
  get readable(): readonly GrantedDirectory[] {
    const { grants, link } = this.#holds() ? this.#claimant.principal : this.#issuer.anonymous;
    return link ? [] : grants.read ?? [];
  }

  /**
   * The storage, confined to the bounds of the request. They are evaluated each time a path is reached: see `boundsOf`.
   *
   * @param request another request whose bounds they are, which is a part of the request. Default: the request itself
   */
  confine(storage: Storage, request: AccessRequest = this.#request): Storage {
    const { principal, token } = this.#claimant;
    const shown = boundsOf(principal, request);
    // The bounds of an anonymous client, for when the token is no longer valid.
    const anybody = token && boundsOf(this.#issuer.anonymous, request);
    if (!shown && !anybody) return storage;
    const now = () => {
      if (this.#holds()) return shown;
      this.assert();
      return anybody;
    };
    return storage.within({
      reaches: (path) => now()?.reaches(path) ?? true,
      takes: (path, from) => now()?.takes(path, from) ?? true,
    });
  }

  /** Whether the token is still as it was when the request arrived. */
  #holds(): boolean {
    const { token } = this.#claimant;
    if (!token) return true;
    if (this.#over) return false;
    if (this.#checked !== this.#issuer.generation) {
      const current = this.#issuer.find(token.id);
      this.#over = !current || !sameRights(current, token);
      this.#checked = this.#issuer.generation;
    }
    this.#over ||= token.expires !== null && token.expires <= this.#issuer.clock.now();
    return !this.#over;
  }

  /**
   * Calls a function once when the request may no longer continue; immediately if it may not now. Ends when the
   * returned value is disposed of.
   */
  onEnd(tell: (error: FerryError) => void): Disposable {
    const { token } = this.#claimant;
    if (!token) return NEVER;
    const { clock } = this.#issuer;
    let timer: Timer | undefined;
    const look = () => {
      clock.clearTimeout(timer);
      try {
        this.assert();
      } catch (error) {
        watch[Symbol.dispose]();
        return tell(error as FerryError);
      }
      if (token.expires === null) return;
      const left = Math.max(token.expires - clock.now(), 0);
      timer = clock.setTimeout(look, Math.min(left, POLL_MS));
    };
    const listening = this.#issuer.onReplaced(look);
    const watch = {
      [Symbol.dispose]() {
        clock.clearTimeout(timer);
        listening[Symbol.dispose]();
      },
    };
    look();
    return watch;
  }

  /**
   * Waits for a promise, but only while the request may continue. The work behind the promise is not stopped when the
   * wait fails.
   *
   * @throws {FerryError} as {@linkcode Permit.assert}
   * @throws what the promise fails with
   */
  wait<T>(promise: Promise<T>): Promise<T> {
    return this.#claimant.token ? this.#waitToEnd(promise) : promise;
  }

  async #waitToEnd<T>(promise: Promise<T>): Promise<T> {
    const ended = Promise.withResolvers<never>();
    using _watch = this.onEnd(ended.reject);
    return await Promise.race([promise, ended.promise]);
  }
}

const NEVER: Disposable = { [Symbol.dispose]() {} };
