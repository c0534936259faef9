/**
 * A link that visitors use: what they may do, and for how long.
 *
 * @module
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { Authority } from "../auth/authority.ts";
import { type AccessRequest, assertAllowed, type Principal } from "../auth/authorization.ts";
import type { Caller } from "../auth/caller.ts";
import { type Grants, scopesOf } from "../auth/grants.ts";
import { type Issuer, Permit } from "../auth/permit.ts";
import { hasExpired, type TokenRecord } from "../auth/token_table.ts";
import { baseOf, linkEnded, type ShareRecord } from "./share.ts";

/** How soon a running request ends after another server has taken back its link, in milliseconds. */
const LOOK_EVERY_MS = 5000;

/** Visitors get no scope but those of their link. */
const NOBODY: Principal = { grants: {}, mayAuthenticate: false };

/** Options of an {@linkcode OpenShare}. */
export interface OpenShareOptions {
  /** The id of the link. */
  readonly id: string;
  readonly record: ShareRecord;
  /** The token that made it; undefined for an anonymous client. */
  readonly creator: TokenRecord | undefined;
  readonly authority: Authority;
  /** Whether its record still exists. */
  exists(): Promise<boolean>;
}

/**
 * A link in use. It is to its visitors what the token file is to other clients: it says which token, namely the link, is
 * valid now.
 */
export class OpenShare implements Issuer {
  /** See {@linkcode Issuer.clock}. */
  readonly clock: Clock;
  /** See {@linkcode Issuer.anonymous}. */
  readonly anonymous: Principal = NOBODY;
  readonly #options: OpenShareOptions;
  /** The link as a token. */
  readonly #token: TokenRecord;
  readonly #listeners = new Set<() => void>();
  #takenBack = false;
  #timer: Timer | undefined;
  #authorityListener: Disposable | undefined;

  /** Opens a link whose record was found. */
  constructor(options: OpenShareOptions) {
    this.#options = options;
    this.clock = options.authority.clock;
    this.#token = tokenOf(options);
  }

  /** Its record. */
  get record(): ShareRecord {
    return this.#options.record;
  }

  /** See {@linkcode Issuer.generation}. */
  get generation(): number {
    return this.#options.authority.generation + (this.#takenBack ? 1 : 0);
  }

  /** See {@linkcode Issuer.find}. */
  find(): TokenRecord | undefined {
    return this.#flaw === undefined ? this.#token : undefined;
  }

  /** See {@linkcode Issuer.ended}. */
  ended(): FerryError {
    return linkEnded(this.#flaw ?? "the link has ended");
  }

  /**
   * Fails if it leads nowhere any more.
   *
   * @throws {FerryError} that the link has ended
   */
  assertValid(): void {
    if (this.#flaw !== undefined) throw this.ended();
  }

  /** Why it leads nowhere any more; undefined if it is valid. */
  get #flaw(): string | undefined {
    const { record, authority, creator } = this.#options;
    if (this.#takenBack) return "the link was taken back";
    if (record.expires !== null && record.expires <= this.clock.now()) {
      return "the link has expired";
    }
    const current = creator && authority.current(creator);
    if (creator && (!current || hasExpired(current, this.clock.now()))) {
      return "the token that the link was made with is no longer valid";
    }
    const principal = current ? authority.principalOf(current) : authority.anonymous;
    const { filename, upload } = record;
    try {
      assertAllowed(principal, { op: "share", filename, upload });
      return undefined;
    } catch {
      return "who made the link may not do any more what it is for";
    }
  }

  /** Ends it: its record was removed. */
  takeBack(): void {
    if (this.#takenBack) return;
    this.#takenBack = true;
    for (const listener of [...this.#listeners]) listener();
  }

  /** See {@linkcode Issuer.onReplaced}. While requests run, the record is looked for now and then. */
  onReplaced(listener: () => void): Disposable {
    this.#listeners.add(listener);
    this.#authorityListener ??= this.#options.authority.onReplaced(() => {
      for (const each of [...this.#listeners]) each();
    });
    this.#look();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        this.clock.clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#authorityListener?.[Symbol.dispose]();
        this.#authorityListener = undefined;
      },
    };
  }

  #look(): void {
    this.#timer ??= this.clock.setTimeout(async () => {
      // If the records cannot be read now, the next look finds out.
      const exists = await this.#options.exists().catch(() => true);
      this.#timer = undefined;
      if (!exists) this.takeBack();
      if (this.#listeners.size > 0) this.#look();
    }, LOOK_EVERY_MS);
  }

  /** A visitor. */
  get visitor(): Caller {
    const principal = principalOf(this.record);
    const claimant = { principal, token: this.#token, owner: `share:${this.#options.id}` };
    const scopes: Scope[] = scopesOf(principal.grants);
    const permit = (request: AccessRequest) => new Permit(this, claimant, request);
    return { scopes, shown: this.#token, permit };
  }
}

/** What a link allows. */
function principalOf(record: ShareRecord): Principal {
  const directory = baseOf(record);
  const grants: Grants = record.upload ? { write: [directory] } : { read: [directory] };
  return {
    grants,
    mayAuthenticate: false,
    link: {
      only: record.type === "file" && record.filename !== "" ? record.filename : undefined,
      createsOnly: record.upload,
    },
  };
}

function tokenOf({ id, record, creator }: OpenShareOptions): TokenRecord {
  const ends = [record.expires, creator?.expires ?? null].filter((time) => time !== null);
  return {
    id,
    name: `link to ${JSON.stringify(record.filename)}`,
    created: record.created,
    expires: ends.length === 0 ? null : Math.min(...ends),
    grants: principalOf(record).grants,
    // It is shown as a whole, in the URL, and never checked by SCRAM.
    verifier: {
      salt: new Uint8Array(),
      iterations: 1,
      storedKey: new Uint8Array(),
      serverKey: new Uint8Array(),
    },
  };
}
