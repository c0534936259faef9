/**
 * The open connections of a server, and what goes on in them.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { type Address, formatAddress, type ListenerKind } from "../../lib/core/address.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { type FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { TokenRecord } from "../auth/token_table.ts";
import type { ProposedUpload, PublishedDirectory, StoredUpload } from "../files/upload.ts";
import type {
  BeforeStore,
  ContentCount,
  Observer,
  OpenConnection,
  OperationSubject,
  Refusal,
  Requester,
  RunningOperation,
} from "./operation.ts";

/** The number of random bytes in the id of a connection. */
const ID_BYTES = 6;

/** What {@linkcode Traffic.open} needs to know of a connection. */
export interface OpenedConnection {
  /** The kind of the listener that it came by. */
  readonly listener: ListenerKind;
  /** The address of the client. */
  readonly peer: Address;
  /** The token that the client last logged in with. Default: undefined, clients cannot log in. */
  shown?: (() => TokenRecord | undefined) | undefined;
  /** Closes the connection immediately. */
  close(reason: FerryError): void;
}

/** All connections of one server. Tells observers what happens on them. */
export class Traffic {
  readonly #observers: Observer[];
  readonly #clock: Clock;
  readonly #beforeStore: BeforeStore | undefined;
  readonly #open = new Set<ClientConnection>();

  /**
   * @param observers what is told, in this order
   * @param beforeStore decides which uploads are let in. Default: undefined, all
   */
  constructor(observers: readonly Observer[], clock: Clock, beforeStore?: BeforeStore) {
    this.#observers = [...observers];
    this.#clock = clock;
    this.#beforeStore = beforeStore;
  }

  /** The open connections, in the order in which they were opened. */
  get connections(): ReadonlySet<ClientConnection> {
    return this.#open;
  }

  /** Tells another observer what happens from now on. */
  observe(observer: Observer): void {
    this.#observers.push(observer);
  }

  /** Takes note of a connection that was admitted. It has to be ended. */
  open(opened: OpenedConnection): ClientConnection {
    const connection = new ClientConnection(opened, {
      observers: this.#observers,
      clock: this.#clock,
      beforeStore: this.#beforeStore,
      forget: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
    return connection;
  }

  /** Takes note of a client that was turned away. */
  refused(refusal: Refusal): void {
    for (const observer of this.#observers) observer.refused?.(refusal);
  }
}

/** What the connections of one server share. */
interface Shared {
  readonly observers: readonly Observer[];
  readonly clock: Clock;
  readonly beforeStore: BeforeStore | undefined;
  forget(): void;
}

/** One open connection. */
export class ClientConnection implements OpenConnection {
  /** Its id: random hexadecimal digits. Requests are numbered after it. */
  readonly id: string = encodeHex(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
  /** The kind of the listener that it came by. */
  readonly listener: ListenerKind;
  /** The address of the client. */
  readonly peer: Address;
  /** When it was opened, in milliseconds since 1970. */
  readonly since: number;
  /** What goes on in it. */
  readonly running: Set<Operation> = new Set();
  readonly #opened: OpenedConnection;
  readonly #shared: Shared;
  /** When it was opened, in milliseconds of the monotonic clock. */
  readonly #began: number;
  #isOpen = true;

  /** Creates the record of a connection; see {@linkcode Traffic.open}. */
  constructor(opened: OpenedConnection, shared: Shared) {
    this.listener = opened.listener;
    this.peer = { hostname: opened.peer.hostname, port: opened.peer.port };
    this.since = shared.clock.now();
    this.#began = shared.clock.monotonic();
    this.#opened = opened;
    this.#shared = shared;
    for (const observer of shared.observers) observer.connected?.(this.listener);
  }

  /** See {@linkcode OpenConnection.seconds}. */
  get seconds(): number {
    return (this.#shared.clock.monotonic() - this.#began) / 1000;
  }

  /** The address of the client as text, as in `127.0.0.1:50123`. */
  get name(): string {
    return formatAddress(this.peer);
  }

  /** The token that the client last logged in with. */
  get token(): Requester["token"] {
    const token = this.#opened.shown?.();
    return token && describe(token);
  }

  /** Closes it immediately. */
  close(reason: FerryError): void {
    this.#opened.close(reason);
  }

  /**
   * Takes note of a request that has arrived. The operation has to be ended.
   *
   * @param number the number of the request on this connection, from 1 on
   * @param subject what it is about, if that is known already
   */
  begin(number: number, subject: OperationSubject = { op: "unknown" }): Operation {
    return new Operation(this, { id: `${this.id}.${number}`, subject, ...this.#shared });
  }

  /** Takes note of its end. Only the first call has an effect. */
  end(error?: FerryError): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { observers, forget } = this.#shared;
    forget();
    for (const observer of observers) observer.disconnected?.(this.listener, this, error);
  }
}

/** What an {@linkcode Operation} is made of. */
interface OperationParts extends Omit<Shared, "forget"> {
  readonly id: string;
  readonly subject: OperationSubject;
}

/** An operation that goes on, and is told what comes of it. */
export class Operation implements RunningOperation {
  /** The request id. */
  readonly id: string;
  /** What it is about. */
  subject: OperationSubject;
  /** The token that its client has shown. Default: the one of the connection. */
  shown: TokenRecord | undefined;
  /** Counts the bytes of content that have crossed so far. */
  count: () => ContentCount = () => NOTHING;
  /** The checksum of the file that is sent, if it is known. */
  checksum: string | undefined;
  /** The offset at which an interrupted download is resumed, in bytes. */
  resumedFrom = 0;
  /** The exit status of a command that has ended. */
  exitCode: number | undefined;
  readonly #connection: ClientConnection;
  readonly #parts: OperationParts;
  /** When it began, in milliseconds of the monotonic clock. */
  readonly #began: number;
  #stored: StoredUpload | undefined;
  #ended = false;

  /** Creates the record of an operation; see {@linkcode ClientConnection.begin}. */
  constructor(connection: ClientConnection, parts: OperationParts) {
    this.id = parts.id;
    this.subject = parts.subject;
    this.#connection = connection;
    this.#parts = parts;
    this.#began = parts.clock.monotonic();
    connection.running.add(this);
  }

  /**
   * Lets an upload in, or refuses it.
   *
   * @throws what the server's {@linkcode BeforeStore} fails with
   */
  async admit(upload: ProposedUpload): Promise<void> {
    await this.#parts.beforeStore?.(upload, this.#requester, this.id);
  }

  /** Takes note of a file that was stored, or existed already. It is acknowledged when this resolves. */
  async stored(file: StoredUpload): Promise<void> {
    this.#stored = file;
    const requester = this.#requester;
    for (const observer of this.#parts.observers) {
      await observer.stored?.(file, requester, this.id);
    }
  }

  /** Takes note of a directory that has got its name as a whole. It is acknowledged when this resolves. */
  async published(directory: PublishedDirectory): Promise<void> {
    const requester = this.#requester;
    for (const observer of this.#parts.observers) {
      await observer.published?.(directory, requester, this.id);
    }
  }

  /** See {@linkcode RunningOperation.token}. */
  get token(): Requester["token"] {
    return this.shown ? describe(this.shown) : this.#connection.token;
  }

  /** See {@linkcode RunningOperation.seconds}. */
  get seconds(): number {
    return (this.#parts.clock.monotonic() - this.#began) / 1000;
  }

  get #requester(): Requester {
    return { peer: this.#connection.peer, token: this.token };
  }

  /** Leaves its end untold: the end of its connection says all. */
  forget(): void {
    this.#ended = true;
    this.#connection.running.delete(this);
  }

  /** Takes note of its end. Only the first call has an effect. */
  end(reason?: unknown): void {
    if (this.#ended) return;
    this.forget();
    const { id, subject, checksum, exitCode } = this;
    const connection = this.#connection;
    const { observers, clock } = this.#parts;
    if (observers.length === 0) return;
    const stored = this.#stored;
    const { received, sent } = this.count();
    const operation = {
      ...subject,
      // The answer to an offer says whether there is anything to send.
      op: stored && subject.op === "offer" ? "put" : subject.op,
      time: clock.now(),
      seconds: this.seconds,
      id,
      listener: connection.listener,
      ...this.#requester,
      received,
      sent,
      stored,
      checksum: stored?.checksum ?? checksum,
      resumedFrom: stored?.resumedFrom ?? this.resumedFrom,
      unchanged: stored?.unchanged ?? false,
      exitCode,
      error: reason === undefined ? undefined : toFerryError(reason),
    };
    for (const observer of observers) observer.ended?.(operation);
  }
}

function describe({ id, name }: TokenRecord): Requester["token"] {
  return { id, name };
}

const NOTHING: ContentCount = { received: 0, sent: 0 };
