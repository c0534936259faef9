/**
 * The right to one request, for as long as the request runs.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { assertAllowed, boundsOf, type Principal, type Question } from "./authorization.ts";
import { sameRights, type TokenRecord } from "./token_file.ts";

/**
 * How often the clock is looked at while something waits for a token to expire, in milliseconds. A timer knows
 * nothing of a clock that is set, nor of the time that a machine sleeps.
 */
const LOOK_MS = 60_000;

/** What knows the tokens that count now. */
export interface Issuer {
  /** Somebody who has shown none. */
  readonly anonymous: Principal;
  /** How often the tokens were replaced. */
  readonly generation: number;
  /** A token by its id, if it is there; it may have ended. */
  find(id: string): TokenRecord | undefined;
  /** Calls a function each time the tokens are replaced, until the returned value is disposed of. */
  onReplaced(listener: () => void): Disposable;
}

/** Who makes a request, as it was when the request came. */
export interface Claimant {
  /** What it may do. */
  readonly principal: Principal;
  /** The token that it has shown, where it has, as the server knew it then. */
  readonly token: TokenRecord | undefined;
  /** Whose the parts of its uploads are. */
  readonly owner: string;
}

/**
 * What allows one request. It holds while the token that was shown is as it was when the request came: once
 * that is taken back, is changed or expires, what is left is what anybody may do.
 */
export class Permit {
  readonly #issuer: Issuer;
  readonly #claimant: Claimant;
  readonly #question: Question;
  /** The table of tokens in which the token was last found unchanged. */
  #checked: number;
  /** Whether the token counts no more: what was refused for that is not allowed again. */
  #over = false;

  /**
   * Allows a request.
   *
   * @throws {FerryError} as {@linkcode assertAllowed}
   */
  constructor(issuer: Issuer, claimant: Claimant, question: Question) {
    this.#issuer = issuer;
    this.#claimant = claimant;
    this.#question = question;
    this.#checked = issuer.generation;
    this.assert();
  }

  /** Whose the parts of uploads are. */
  get owner(): string {
    return this.#claimant.owner;
  }

  /**
   * Fails where the request may not go on.
   *
   * @param question what else it is about, such as one of many names; the request itself unless told otherwise
   * @throws {FerryError} `auth_required` where the token that allowed it counts no more; else as
   * {@linkcode assertAllowed}
   */
  assert(question: Question = this.#question): void {
    if (this.#holds()) return assertAllowed(this.#claimant.principal, question);
    try {
      assertAllowed(this.#issuer.anonymous, question);
    } catch (cause) {
      const reason = "the token that allowed it was taken back, was changed or has expired";
      throw new FerryError("auth_required", reason, { cause });
    }
  }

  /** Whether the request may also be about something else; see {@linkcode Permit.assert}. */
  allows(question: Question): boolean {
    try {
      this.assert(question);
      return true;
    } catch {
      return false;
    }
  }

  /** A storage as far as the request may reach it where links lead elsewhere; as far as that is now. */
  confine(storage: Storage): Storage {
    const { principal, token } = this.#claimant;
    const shown = boundsOf(principal, this.#question);
    // What the request was let pass for without the token, if it was, is what the names are checked for.
    const anybody = token && boundsOf(this.#issuer.anonymous, this.#question);
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

  /** Whether nothing has changed since the request came. */
  #holds(): boolean {
    const { token } = this.#claimant;
    if (!token) return true;
    if (this.#over) return false;
    if (this.#checked !== this.#issuer.generation) {
      const current = this.#issuer.find(token.id);
      this.#over = !current || !sameRights(current, token);
      this.#checked = this.#issuer.generation;
    }
    this.#over ||= token.expires !== null && token.expires <= Date.now();
    return !this.#over;
  }

  /**
   * Until the returned value is disposed of, tells at once when the request may not go on, also where nothing
   * happens in it; once, and at once where that is so already.
   */
  onEnd(tell: (error: FerryError) => void): Disposable {
    const { token } = this.#claimant;
    if (!token) return NEVER;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(timer);
      try {
        this.assert();
      } catch (error) {
        watch[Symbol.dispose]();
        return tell(error as FerryError);
      }
      if (token.expires === null) return;
      const left = Math.max(token.expires - Date.now(), 0);
      timer = setTimeout(look, Math.min(left, LOOK_MS));
    };
    const listening = this.#issuer.onReplaced(look);
    const watch = {
      [Symbol.dispose]() {
        clearTimeout(timer);
        listening[Symbol.dispose]();
      },
    };
    look();
    return watch;
  }

  /**
   * Waits for something, but no longer than the request may go on. What was waited for goes on by itself then.
   *
   * @throws {FerryError} as {@linkcode Permit.assert}, and what it fails with
   */
  wait<T>(something: Promise<T>): Promise<T> {
    return this.#claimant.token ? this.#waitToEnd(something) : something;
  }

  async #waitToEnd<T>(something: Promise<T>): Promise<T> {
    const ended = Promise.withResolvers<never>();
    using _watch = this.onEnd(ended.reject);
    return await Promise.race([something, ended.promise]);
  }
}

const NEVER: Disposable = { [Symbol.dispose]() {} };
