/**
 * Sessions: logins that outlive a connection, and the server. A client gets a text in exchange for its token, and shows
 * that afterwards. The text names the token and is signed; it is valid on all servers of the same files that have the
 * token.
 *
 * @module
 */

import { encodeBase64Url } from "@std/encoding/base64url";
import { encodeHex } from "@std/encoding/hex";
import type { Authority } from "./authority.ts";
import { TokenCaller } from "./caller.ts";
import { isFull, type LoadedKey, type SharedRecords, SigningKey } from "./signing_key.ts";
import type { TokenRecord } from "./token_table.ts";

/** How long a session lasts, in milliseconds, if its token does not end before. */
const LIFETIME_MS = 7 * 24 * 60 * 60 * 1000;

/** The kind of the records of sessions that were ended before their time. */
const ENDED = "ended-sessions";

/** How long a session is taken to be as it was when its record was last looked for, in milliseconds. */
const RECHECK_MS = 10_000;

/** The maximum number of remembered sessions. Beyond that the one that was first shown is forgotten. */
const MAX_REMEMBERED = 4096;

const ID_BYTES = 16;

/** A session that has begun. */
export interface Begun {
  /** What the client shows from now on: a secret, of letters, digits, `-`, `_` and `.`. */
  readonly text: string;
  /** When the session ends, in milliseconds since 1970. */
  readonly expires: number;
}

/** The parts of the text of a session. */
interface Claim {
  /** The id of the key that has signed it. */
  readonly key: string;
  /** The id of the token. */
  readonly token: string;
  /** When it ends, in milliseconds since 1970. */
  readonly expires: number;
  readonly id: string;
  readonly signature: string;
}

/** A session whose text is genuine. */
interface Session {
  readonly caller: TokenCaller;
  readonly expires: number;
  /** The id of the record that says that it was ended. */
  readonly record: string;
  /** Whether it was ended, by the records at the time of `checked`. */
  ended: Promise<boolean>;
  /** When the records were last looked at, in milliseconds of the monotonic clock. */
  checked: number;
}

/** The sessions of a server. */
export class Sessions {
  readonly #authority: Authority;
  readonly #records: SharedRecords;
  readonly #key: SigningKey;
  /** Sessions by their texts, in the order in which they were first shown. */
  readonly #remembered = new Map<string, Session>();
  /** When the key was last loaded, in milliseconds of the monotonic clock. */
  #keyLoaded = -Infinity;

  /** @param records keep the key that signs the sessions, and those that were ended */
  constructor(authority: Authority, records: SharedRecords) {
    this.#authority = authority;
    this.#records = records;
    this.#key = new SigningKey(records, "sessions", { mayBeLost: true });
  }

  /** Begins a session for a client that has proven that it knows a token. */
  async begin(token: TokenRecord): Promise<Begun> {
    const key = await this.#key.load();
    const latest = this.#authority.clock.now() + LIFETIME_MS;
    const claim = {
      key: key.id,
      token: token.id,
      expires: Math.min(latest, token.expires ?? Infinity),
      id: encodeHex(crypto.getRandomValues(new Uint8Array(ID_BYTES))),
    };
    const text = format({ ...claim, signature: key.sign(signed(claim, token)) });
    return { text, expires: claim.expires };
  }

  /**
   * The client that has begun a session; undefined if its text is not genuine, it has ended, or its token is no longer
   * valid or has got another secret.
   */
  async callerOf(text: string): Promise<TokenCaller | undefined> {
    const session = await this.#find(text);
    if (!session || session.expires <= this.#authority.clock.now()) return undefined;
    const now = this.#authority.clock.monotonic();
    if (now - session.checked > RECHECK_MS) this.#recheck(session, now);
    return await session.ended ? undefined : session.caller;
  }

  /**
   * Ends a session: its text is no longer valid, on this server at once, on others of the same files 10 s later.
   *
   * @returns whether it was one of this server
   */
  async end(text: string): Promise<boolean> {
    const session = await this.#find(text);
    if (!session) return false;
    if (await session.ended) return true;
    try {
      await this.#records.create(ENDED, session.record, {});
    } catch (error) {
      // Where there is no room, this server remembers it.
      if (!isFull(error)) throw error;
    }
    session.ended = Promise.resolve(true);
    session.checked = Infinity;
    await this.#forgetOld();
    return true;
  }

  async #find(text: string): Promise<Session | undefined> {
    const known = this.#remembered.get(text);
    if (known) return known.caller.token ? known : void this.#remembered.delete(text);
    const claim = parse(text);
    const token = claim && this.#authority.find(claim.token);
    if (!claim || !token) return undefined;
    const key = await this.#keyOf(claim);
    if (!key?.verifies(signed(claim, token), claim.signature)) return undefined;
    const caller = await TokenCaller.withToken(this.#authority, token);
    if (!caller.token) return undefined;
    return this.#remembered.get(text) ?? this.#remember(text, claim, caller);
  }

  #remember(text: string, { id, expires }: Claim, caller: TokenCaller): Session {
    const record = `${expires}-${id}`;
    const session = { caller, expires, record, ended: Promise.resolve(false), checked: 0 };
    this.#recheck(session, this.#authority.clock.monotonic());
    this.#remembered.set(text, session);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED) this.#remembered.delete(oldest!);
    return session;
  }

  #recheck(session: Session, now: number): void {
    const ended = this.#records.read(ENDED, session.record).then((found) => found !== undefined);
    session.ended = ended;
    session.checked = now;
    ended.catch(() => {
      // The next request looks again.
      if (session.ended === ended) session.checked = -Infinity;
    });
  }

  /** The key that a session was signed with, unless it is no longer in use. */
  async #keyOf(claim: Claim): Promise<LoadedKey | undefined> {
    const key = await this.#key.load();
    if (key.id === claim.key) return key;
    const now = this.#authority.clock.monotonic();
    if (now - this.#keyLoaded <= RECHECK_MS) return undefined;
    this.#keyLoaded = now;
    const current = await this.#key.reload();
    return current.id === claim.key ? current : undefined;
  }

  /** Removes the records of sessions whose time is over. */
  async #forgetOld(): Promise<void> {
    const now = this.#authority.clock.now();
    for await (const id of this.#records.list(ENDED)) {
      if (parseInt(id) <= now) await this.#records.remove(ENDED, id);
    }
  }
}

/** What a signature covers: the secret of the token as well, so that a session ends with it. */
function signed({ token, expires, id }: Omit<Claim, "signature">, record: TokenRecord): string {
  return `${token}.${expires}.${id}.${encodeBase64Url(record.verifier.storedKey)}`;
}

function format({ key, token, expires, id, signature }: Claim): string {
  return [key, token, expires, id, signature].join(".");
}

const TEXT = /^([0-9a-f]{8})\.([\w-]{1,64})\.(\d{1,15})\.([0-9a-f]{32})\.([\w-]{43})$/;

function parse(text: string): Claim | undefined {
  const match = TEXT.exec(text);
  if (!match) return undefined;
  const [, key, token, expires, id, signature] = match as unknown as string[];
  return { key: key!, token: token!, expires: Number(expires), id: id!, signature: signature! };
}
