/**
 * One request, what it may do, and the ways to respond to it.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Runtime } from "../../../../lib/runtime/runtime.ts";
import { FerryError, quote } from "../../../../lib/core/errors.ts";
import { sourceOf } from "../../../../lib/core/source_address.ts";
import type { FileName } from "../../../../lib/core/remote_name.ts";
import type { Authority } from "../../../auth/authority.ts";
import type { AccessRequest } from "../../../auth/authorization.ts";
import type { Caller } from "../../../auth/caller.ts";
import type { Permit } from "../../../auth/permit.ts";
import type { Sessions } from "../../../auth/sessions.ts";
import type { ShownTokens } from "../../../auth/shown_tokens.ts";
import { AddressedUploads } from "../../../files/addressed_uploads.ts";
import { FileService } from "../../../files/file_service.ts";
import type { Records } from "../../../files/records.ts";
import type { ProposedUpload, StoredUpload } from "../../../files/upload.ts";
import type { UploadLocks } from "../../../files/upload_locks.ts";
import { UploadService } from "../../../files/upload_service.ts";
import type { Operation, Traffic } from "../../../observe/traffic.ts";
import type { Shares, Visit } from "../../../shares/shares.ts";
import type { Storage } from "../../../storage/storage.ts";
import type { Connection } from "./connection.ts";
import { type Content, ContentSender, SMALL_SOURCE_BYTES, wholeOf } from "./content.ts";
import { problemOf } from "./problem.ts";
import type { RequestBody } from "./request_body.ts";
import { encodePath, isReserved, type Target } from "./target.ts";

/** What all requests of a server share. */
export interface HttpService {
  /** Buffers, digests and the clock. */
  readonly runtime: Runtime;
  /** The storage that keeps the files. */
  readonly storage: Storage;
  /** What the server itself keeps beside the files: keys, shares, uploads by tus. */
  readonly records: Records;
  /** The share links. */
  readonly shares: Shares;
  /** The locks that arbitrate between the writers of partial uploads. */
  readonly locks: UploadLocks;
  /** The grants and tokens. */
  readonly authority: Authority;
  /** Checks tokens that are shown as a whole. */
  readonly tokens: ShownTokens;
  /** The sessions of browsers. */
  readonly sessions: Sessions;
  /** Takes note of connections, and of what goes on in them. */
  readonly traffic: Traffic;
  /** The origins of web pages elsewhere whose scripts may make requests: `https://app.example.org`. */
  readonly origins: readonly string[];
  /** The names that the server is known by, in lower case, beside `localhost` and its addresses. */
  readonly hosts: ReadonlySet<string>;
  /** The URL that clients know the server by; undefined if it is that of the listener. */
  readonly url: URL | undefined;
  /** Whether connections are encrypted. */
  readonly secure: boolean;
  /** How long a partial upload is kept, in milliseconds. */
  readonly partialTtl: number;
}

/** The part of the tree that a request sees: all of it, or what a share link leads to. */
export interface View {
  /** The directory that the request sees as the root; "" is that of the server. */
  readonly base: FileName | "";
  /** What precedes each path in links to the view: "" or, for a share, `/.ferry/s/LINK`. */
  readonly prefix: string;
  /** The visit by a share link; undefined without one. */
  readonly visit?: Visit | undefined;
}

/** Handles a request. It responds, or throws the error that becomes the response. */
export type Handler = (exchange: Exchange) => Promise<void>;

/** A handler and the requests that it is for. */
export interface Route {
  /** The methods; a HEAD is handled as a GET of which only the header is sent. */
  readonly methods: readonly string[];
  /** The raw path, with `*` for one segment at most and `/**` for any number of them at the end. */
  readonly path: string;
  readonly handler: Handler;
}

/** Header fields of a response. */
export type Fields = Readonly<Record<string, string | number | readonly string[]>>;

/** Options of {@linkcode Exchange.stream}. */
export interface StreamOptions {
  /** The number of bytes to send. Default: undefined, all that there are; they are sent in chunks. */
  readonly size?: number | undefined;
  /** The permit without which sending does not go on. Default: undefined, it goes on in any case. */
  readonly permit?: Permit | undefined;
}

/** The parts of an {@linkcode Exchange}. */
export interface ExchangeParts {
  readonly service: HttpService;
  readonly connection: Connection;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly body: RequestBody;
  readonly caller: Caller;
  readonly view: View;
  readonly operation: Operation;
}

const ENCODER = new TextEncoder();

/** One request, what it may do, and the ways to respond to it. */
export class Exchange {
  /** What all requests share. */
  readonly service: HttpService;
  /** The connection of the client. */
  readonly connection: Connection;
  /** The request, as `node:http` parsed it. */
  readonly request: IncomingMessage;
  /** The response. Handlers use the methods of this class where these suffice. */
  readonly response: ServerResponse;
  /** Its target, relative to the view. */
  readonly target: Target;
  /** Its body. */
  readonly body: RequestBody;
  /** Who makes it. */
  readonly caller: Caller;
  /** The part of the tree that it sees. */
  readonly view: View;
  /** The record of the request, which observers are told of. */
  readonly operation: Operation;
  /** How many bytes of content were sent. */
  #sent = 0;

  /** Creates the exchange for a request whose header has arrived. */
  constructor(parts: ExchangeParts) {
    this.service = parts.service;
    this.connection = parts.connection;
    this.request = parts.request;
    this.response = parts.response;
    this.target = parts.target;
    this.body = parts.body;
    this.caller = parts.caller;
    this.view = parts.view;
    const { operation, caller, body } = parts;
    this.operation = operation;
    operation.shown = caller.shown;
    operation.count = () => ({ received: body.count, sent: this.#sent });
  }

  /** The method. */
  get method(): string {
    return this.request.method ?? "";
  }

  /**
   * A header field of the request, by its name in lower case.
   *
   * @throws {FerryError} `bad_header` if it is there more than once
   */
  header(name: string): string | undefined {
    const values = this.request.headersDistinct[name];
    if (values === undefined || values.length === 0) return undefined;
    if (values.length > 1) {
      throw new FerryError("bad_header", `the header field ${name} is there more than once`);
    }
    return values[0];
  }

  /**
   * The name on the server of a path in the view. It is not yet validated.
   *
   * @throws {FerryError} `bad_name` for a path at which no request could reach a file
   */
  nameOf(path: string): string {
    if (isReserved(path)) {
      throw new FerryError("bad_name", `over HTTP, no file is at ${quote(path.split("/", 1)[0]!)}`);
    }
    const { base } = this.view;
    if (base === "") return path;
    return path === "" ? base : `${base}/${path}`;
  }

  /** The name on the server that the target of the request means. */
  get filename(): string {
    return this.nameOf(this.target.path);
  }

  /** The path, for a link, of a name on the server; undefined if it is out of view. */
  linkTo(filename: string): string | undefined {
    const { base, prefix } = this.view;
    if (base === "") return prefix + encodePath(filename);
    if (filename === base) return prefix;
    if (!filename.startsWith(`${base}/`)) return undefined;
    return prefix + encodePath(filename.slice(base.length + 1));
  }

  /**
   * Permits an access.
   *
   * @throws {FerryError} `auth_required`, `denied`
   */
  permit(access: AccessRequest): Permit {
    const { op, filename, to } = access;
    this.operation.subject = { ...this.operation.subject, op, filename, to };
    return this.caller.permit(access);
  }

  /** The files that a permit allows to reach. */
  files(permit: Permit): FileService {
    const { storage, runtime } = this.service;
    return new FileService(permit, { storage, runtime });
  }

  /** The uploads that a permit allows. */
  uploads(permit: Permit): UploadService {
    return new UploadService(permit, this.#uploading);
  }

  /** The uploads that a permit allows and that their clients go on with by an id. */
  addressedUploads(permit: Permit): AddressedUploads {
    const { records, partialTtl: ttl } = this.service;
    return new AddressedUploads(permit, { ...this.#uploading, records, ttl });
  }

  get #uploading() {
    const { storage, runtime, locks } = this.service;
    const { operation } = this;
    return {
      ...{ storage, runtime, locks },
      beforeStore: (upload: ProposedUpload) => operation.admit(upload),
      onStored: (file: StoredUpload) => operation.stored(file),
      // Another client has taken over the partial upload.
      onTakenOver: () => this.abort(),
    };
  }

  /**
   * Counts a download by a share link, if those are counted. To be called before content is sent in answer to a GET.
   *
   * @param first whether the response has the first byte of the content
   * @throws {FerryError} that the link was used as often as it may be
   */
  async countDownload({ first }: { first: boolean }): Promise<void> {
    const source = sourceOf(this.connection.peer.hostname);
    await this.view.visit?.countDownload({ first, source });
  }

  /** Ends the connection at once: a response that has begun cannot report an error in another way. */
  abort(): void {
    this.connection.destroy();
  }

  /** Responds with a body that is at hand, or with none. */
  send(status: number, fields: Fields = {}, body: string | Uint8Array = ""): void {
    const bytes = typeof body === "string" ? ENCODER.encode(body) : body;
    const hasLength = status !== 204 && status !== 304;
    const length = hasLength ? { "content-length": bytes.length } : {};
    this.#begin(status, { ...length, ...fields });
    const isSent = this.method !== "HEAD" && hasLength;
    if (isSent) this.#sent += bytes.length;
    this.response.end(isSent ? bytes : undefined);
  }

  /**
   * Responds with content that is sent as it is read. The header is sent when the first bytes have been read, so that a
   * failure to read them can still become another response. After a later failure the connection is closed. Resolves
   * when the client's system has taken everything, or a small source was read. For a HEAD, only the header is sent, and
   * nothing is read.
   *
   * @throws {FerryError} the errors of the content and of the permit; `io` if a source has fewer bytes than `size` or
   * changes while it is sent; `closed`, `timeout`
   */
  async stream(
    status: number,
    fields: Fields,
    content: Content,
    { size, permit }: StreamOptions = {},
  ): Promise<void> {
    const all = size === undefined ? fields : { "content-length": size, ...fields };
    const begin = () => this.#begin(status, all);
    const { response, connection } = this;
    if (this.method === "HEAD") {
      begin();
      return void response.end();
    }
    if (size !== undefined && size <= SMALL_SOURCE_BYTES && "read" in content) {
      const bytes = await wholeOf(content, size);
      begin();
      this.#sent += bytes.length;
      return void response.end(bytes);
    }
    const sender = new ContentSender({
      response,
      connection,
      begin,
      onSent: (count) => this.#sent += count,
    });
    using _watch = permit?.onEnd((reason) => sender.fail(reason));
    if (size === undefined) await sender.unsized(content);
    else if ("read" in content) await sender.sized(content, size);
    else await sender.unsized(exactly(content, size));
  }

  /** Writes the header. */
  #begin(status: number, fields: Fields): void {
    const { response } = this;
    // `node:http` adds what this means to the header.
    if (!this.body.mayBeLeft) response.shouldKeepAlive = false;
    response.writeHead(status, fields as Record<string, string>);
  }

  /** Responds with JSON. */
  json(status: number, value: unknown, fields: Readonly<Record<string, string>> = {}): void {
    const text = `${JSON.stringify(value)}\n`;
    this.send(status, { "content-type": "application/json", ...fields }, text);
  }

  /** Responds with an error as a JSON problem. */
  problem(
    failure: FerryError,
    status?: number,
    fields: Readonly<Record<string, string>> = {},
  ): void {
    const problem = problemOf(failure, status);
    const type = { "content-type": "application/problem+json", "cache-control": "no-store" };
    const later = problem.status === 503 ? { "retry-after": "1" } : {};
    this.send(problem.status, { ...type, ...later, ...fields }, `${JSON.stringify(problem)}\n`);
  }
}

/**
 * Pieces that together have so many bytes.
 *
 * @throws {FerryError} `io` if they have not
 */
async function* exactly(
  pieces: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, void> {
  let left = size;
  for await (const piece of pieces) {
    left -= piece.length;
    if (left < 0) break;
    yield piece;
  }
  if (left !== 0) {
    throw new FerryError("io", `the content does not have the ${size} bytes it should`);
  }
}
