/**
 * The share links of a server: URLs that let anybody who knows one download a file or directory, or upload into one,
 * without a token.
 *
 * The record of a link is among the server's records, so that all servers of the same files know it. The URL has its id
 * and a signature, without which nothing is looked up.
 *
 * @module
 */

import { encodeBase64Url } from "@std/encoding/base64url";
import { getLogger } from "@logtape/logtape";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { parseDirectoryName } from "../../lib/core/remote_name.ts";
import type { Authority } from "../auth/authority.ts";
import { ownerOf } from "../auth/caller.ts";
import type { Permit } from "../auth/permit.ts";
import { SigningKey } from "../auth/signing_key.ts";
import { hasExpired, type TokenRecord } from "../auth/token_table.ts";
import type { Records } from "../files/records.ts";
import type { Storage } from "../storage/storage.ts";
import { type Download, DownloadCount } from "./download_count.ts";
import { OpenShare } from "./open_share.ts";
import {
  DEFAULT_LIFETIME_MS,
  linkEnded,
  parseShareRecord,
  type Share,
  type ShareRecord,
  type ShareRequest,
} from "./share.ts";

/** The kind of the records. */
const KIND = "shares";

/** The length of an id in bytes, and in base64url. */
const ID = { bytes: 8, characters: 11 };

/** The length of a signature in base64url. */
const SIGNATURE_CHARACTERS = 43;

/** How long what is known of a link counts before its record is looked for again, in milliseconds. */
const KNOWN_MS = 2000;

/** Of how many links something is known at most. */
const MOST_KNOWN = 1000;

/** How often records of links that have expired are removed, in milliseconds. */
const SWEEP_EVERY_MS = 60 * 60 * 1000;

/** How many records are read at the same time. */
const READ_AT_ONCE = 16;

const logger = getLogger(["ferry", "server"]);

/** The share links of a server, and the URLs of them. */
export interface SharedLinks {
  /** The links. */
  readonly shares: Shares;
  /**
   * The URL for a path.
   *
   * @param local the address of this machine by which the client reached it
   */
  urlOf(path: string, local: string): string;
}

/** Options of {@linkcode Shares}. */
export interface SharesOptions {
  /** Where the links are kept. */
  readonly records: Records;
  /** The files that they lead to. */
  readonly storage: Storage;
  /** The grants and tokens. */
  readonly authority: Authority;
}

/** A visit by a link: what the visitor may do. */
export interface Visit {
  /** What the link leads to. */
  readonly share: ShareRecord;
  /** The visitor. */
  readonly caller: OpenShare["visitor"];
  /** How many downloads are allowed and were begun; null if they are not counted. */
  downloads(): Promise<Share["downloads"]>;
  /**
   * Counts a download. Called before content is sent.
   *
   * @throws {FerryError} that the link has ended
   */
  countDownload(download: Download): Promise<void>;
}

/** A link of which something is known. */
interface Known {
  readonly open: OpenShare;
  readonly count: DownloadCount | undefined;
  /** The monotonic time until which its record need not be looked for. */
  until: number;
}

/** The share links of a server. */
export class Shares {
  readonly #options: SharesOptions;
  readonly #key: SigningKey;
  /** By their ids, the oldest first. */
  readonly #known = new Map<string, Known>();
  #swept: number | undefined;

  /** The links whose records are among the given ones. */
  constructor(options: SharesOptions) {
    this.#options = options;
    this.#key = new SigningKey(options.records, KIND);
  }

  get #clock() {
    return this.#options.authority.clock;
  }

  /**
   * Makes a link to a file or directory that its creator may read, or with `upload` to a directory that it may write.
   *
   * @param permit the permit for a `share` of it
   * @throws {FerryError} `not_found`; `not_a_file` for uploads into a file; `auth_required` for anonymous clients of a
   * server with tokens; `bad_header` for uploads with a number of downloads
   */
  async create(permit: Permit, request: ShareRequest): Promise<Share> {
    const { authority, storage, records } = this.#options;
    const { lifetime = DEFAULT_LIFETIME_MS, upload = false } = request;
    const { downloads = null } = request;
    if (upload && downloads !== null) {
      throw new FerryError("bad_header", "a link for uploads has no downloads to be counted");
    }
    if (permit.owner === "" && authority.mechanism !== "none") {
      throw new FerryError("auth_required", "a link belongs to a token");
    }
    const filename = parseDirectoryName(request.filename);
    const { type } = await permit.wait(permit.confine(storage).stat(filename));
    if (upload && type === "file") {
      throw new FerryError("not_a_file", "it is a file, and only a directory takes uploads");
    }
    permit.assert();
    const created = this.#clock.now();
    const record: ShareRecord = {
      filename,
      type,
      upload,
      created,
      expires: lifetime === null ? null : created + lifetime,
      most: downloads,
      by: { token: tokenIdIn(permit), owner: permit.owner },
    };
    await this.#sweep();
    for (;;) {
      const id = encodeBase64Url(crypto.getRandomValues(new Uint8Array(ID.bytes)));
      // On a command line, a hyphen would begin an option.
      if (id.startsWith("-")) continue;
      if (await records.create(KIND, id, record)) return await this.#describe(id, record);
    }
  }

  /** The links of whom a permit belongs to, the newest first. */
  async list({ owner }: Permit): Promise<Share[]> {
    const own = (await this.#all()).filter(([, { by }]) => by.owner === owner);
    const shares = await Promise.all(own.map(([id, record]) => this.#describe(id, record)));
    return shares.sort((a, b) => b.created - a.created);
  }

  /**
   * Takes back a link. Requests that use it end: those of this server at once.
   *
   * @throws {FerryError} `not_found` if whom the permit belongs to has none with that id
   */
  async revoke({ owner }: Permit, id: string): Promise<void> {
    const record = isId(id) ? await this.#read(id) : undefined;
    if (record?.by.owner !== owner) throw new FerryError("not_found", "you have no such link");
    await this.#remove(id);
  }

  /**
   * Opens a link for one request.
   *
   * @param link what its URL has behind `/.ferry/s/`
   * @param source the address of the visitor
   * @returns undefined if there has never been such a link
   * @throws {FerryError} that the link has ended
   */
  async visit(link: string, source: string): Promise<Visit | undefined> {
    const [id, signature] = [link.slice(0, ID.characters), link.slice(ID.characters)];
    if (!isId(id) || signature.length !== SIGNATURE_CHARACTERS) return undefined;
    if (!(await this.#key.load()).verifies(id, signature)) return undefined;
    const { open, count } = await this.#open(id);
    open.assertValid();
    const now = () => this.#clock.now();
    await count?.assertLeft(source, now());
    const { most } = open.record;
    return {
      share: open.record,
      caller: open.visitor,
      downloads: async () => count ? { most: most!, taken: await count.taken() } : null,
      countDownload: async (download) => await count?.count(download, now()),
    };
  }

  /** The link with an id, from what is known or from its record. */
  async #open(id: string): Promise<Known> {
    const now = this.#clock.monotonic();
    const known = this.#known.get(id);
    if (known && known.until > now) return known;
    const record = await this.#read(id);
    if (!record) {
      known?.open.takeBack();
      this.#known.delete(id);
      throw linkEnded("the link was taken back");
    }
    if (known) {
      known.until = now + KNOWN_MS;
      return known;
    }
    const { authority, records } = this.#options;
    const creator = await this.#creatorOf(record);
    const exists = async () => await this.#read(id) !== undefined;
    const opened: Known = {
      open: new OpenShare({ id, record, creator, authority, exists }),
      count: record.most === null ? undefined : new DownloadCount(records, id, record.most),
      until: now + KNOWN_MS,
    };
    // Another request may have opened it meanwhile.
    const there = this.#known.get(id);
    if (there) return there;
    this.#known.set(id, opened);
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    return opened;
  }

  /**
   * The token that made a link.
   *
   * @throws {FerryError} that the link has ended
   */
  async #creatorOf({ by: { token: id, owner } }: ShareRecord): Promise<TokenRecord | undefined> {
    if (id === null) return undefined;
    const token = this.#options.authority.find(id);
    const valid = token && !hasExpired(token, this.#clock.now()) && await ownerOf(token) === owner;
    if (valid) return token;
    throw linkEnded("the token that the link was made with is no longer valid");
  }

  async #describe(id: string, record: ShareRecord): Promise<Share> {
    const { by: _by, most, ...rest } = record;
    const count = most === null ? undefined : new DownloadCount(this.#options.records, id, most);
    return {
      id,
      path: await this.#pathOf(id, record),
      ...rest,
      downloads: count ? { most: most!, taken: await count.taken() } : null,
    };
  }

  async #pathOf(id: string, { type, filename }: ShareRecord): Promise<string> {
    const link = `${id}${(await this.#key.load()).sign(id)}`;
    const name = type === "file" ? filename.slice(filename.lastIndexOf("/") + 1) : "";
    return `/.ferry/s/${link}/${encodeURIComponent(name)}`;
  }

  /** The records of all links that have not expired, by their ids. */
  async #all(): Promise<[id: string, record: ShareRecord][]> {
    const ids = await Array.fromAsync(this.#options.records.list(KIND));
    const found: [string, ShareRecord][] = [];
    for (let from = 0; from < ids.length; from += READ_AT_ONCE) {
      const some = ids.slice(from, from + READ_AT_ONCE);
      const read = await Promise.all(some.map((id) => this.#read(id)));
      some.forEach((id, at) => read[at] && found.push([id, read[at]]));
    }
    const now = this.#clock.now();
    return found.filter(([, { expires }]) => expires === null || expires > now);
  }

  async #read(id: string): Promise<ShareRecord | undefined> {
    const value = await this.#options.records.read(KIND, id);
    return value === undefined ? undefined : parseShareRecord(value);
  }

  async #remove(id: string): Promise<void> {
    const { records } = this.#options;
    await records.remove(KIND, id);
    this.#known.get(id)?.open.takeBack();
    this.#known.delete(id);
    await DownloadCount.forget(records, id);
  }

  /** Removes the records of links that have expired, now and then. */
  async #sweep(): Promise<void> {
    const now = this.#clock.monotonic();
    if (this.#swept !== undefined && now - this.#swept < SWEEP_EVERY_MS) return;
    this.#swept = now;
    try {
      for await (const id of this.#options.records.list(KIND)) {
        const { expires } = await this.#read(id) ?? { expires: null };
        if (expires !== null && expires <= this.#clock.now()) await this.#remove(id);
      }
    } catch (error) {
      const { reason, code } = toFerryError(error);
      logger.warn("Cannot remove expired share links: {reason} ({code})", { reason, code });
    }
  }
}

function isId(text: string): boolean {
  return /^[\w-]{11}$/.test(text);
}

/** The id of the token that a permit belongs to; null for an anonymous client. */
function tokenIdIn({ owner }: Permit): string | null {
  return owner === "" ? null : owner.slice(0, owner.lastIndexOf(":"));
}
