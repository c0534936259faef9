/**
 * A client of the file and upload services, without a wire, with each storage.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { Authority } from "../../server/auth/authority.ts";
import type { AccessRequest } from "../../server/auth/authorization.ts";
import { grantEverywhere, type Grants } from "../../server/auth/grants.ts";
import { Permit } from "../../server/auth/permit.ts";
import { AddressedUploads } from "../../server/files/addressed_uploads.ts";
import { FileService } from "../../server/files/file_service.ts";
import type { OfferedUpload } from "../../server/files/offered_upload.ts";
import type { Precondition } from "../../server/files/precondition.ts";
import { type OpenStages, StageService } from "../../server/files/stage_service.ts";
import type { StoredUpload, UploadOffer } from "../../server/files/upload.ts";
import { UploadLocks } from "../../server/files/upload_locks.ts";
import type { RecordKeeper } from "../../server/files/upload_records.ts";
import { UploadService, type UploadServiceOptions } from "../../server/files/upload_service.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { MemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { md5, MIB, utf8 } from "./bytes.ts";
import { TempDir } from "./programs.ts";
import { RUNTIME } from "./runtime.ts";

/** The content of an upload, in memory. */
export class Content implements IncomingContent {
  readonly size: number | null;
  readonly algorithm: Algorithm = "md5";
  readonly checksum: Checksum | null;
  readonly #bytes: Uint8Array;
  readonly #cut: number;
  #at = 0;
  /** Called in front of each read, which waits for what it returns. */
  onRead: (at: number) => Promise<void> | void = () => {};

  constructor(
    content: Uint8Array | string,
    { checksum, size, cut = Infinity }: {
      checksum?: Checksum | null;
      size?: number | null;
      /** Where the connection ends. */
      cut?: number;
    } = {},
  ) {
    this.#bytes = typeof content === "string" ? utf8.encode(content) : content;
    this.size = size === undefined ? this.#bytes.length : size;
    this.checksum = checksum === undefined ? md5(this.#bytes) : checksum;
    this.#cut = cut;
  }

  async read(into: Uint8Array): Promise<number> {
    await this.onRead(this.#at);
    if (this.#at >= this.#cut) throw new FerryError("closed", "the connection ended");
    const some = this.#bytes.subarray(this.#at, Math.min(this.#at + into.length, this.#cut));
    into.set(some);
    this.#at += some.length;
    return some.length;
  }
}

/** Options of {@linkcode FileClient.put}. */
export interface PutOptions {
  overwrite?: Overwrite;
  mtime?: number;
  offset?: number;
  size?: number | null;
  partial?: OfferedUpload | undefined;
  resumable?: boolean;
  precondition?: Precondition;
}

/** A client of a storage, and what it was told. */
export class FileClient {
  readonly stored: StoredUpload[] = [];
  readonly #storage: Storage;
  readonly #grants: Grants;
  readonly #owner: string;
  readonly #locks: UploadLocks;
  /** Resolves when another client takes over what this one sends. */
  readonly takenOver = Promise.withResolvers<void>();
  /** Called at that moment, before the other client waits for this one to end. */
  onTakenOver: () => void = () => {};

  constructor(
    storage: Storage,
    { grants = grantEverywhere(["read", "write", "delete"]), owner = "", locks }: {
      grants?: Grants;
      owner?: string;
      locks?: UploadLocks;
    } = {},
  ) {
    this.#storage = storage;
    this.#grants = grants;
    this.#owner = owner;
    this.#locks = locks ?? new UploadLocks();
  }

  /** The files for one request. */
  files(request: AccessRequest): FileService {
    return new FileService(this.#permit(request), { storage: this.#storage, runtime: RUNTIME });
  }

  /** The uploads for one request. */
  uploads(request: AccessRequest): UploadService {
    return new UploadService(this.#permit(request), this.#uploading);
  }

  /** The directories that are published as one, for one request on a connection that has some open. */
  stages(request: AccessRequest, open: OpenStages): StageService {
    const options = { storage: this.#storage, runtime: RUNTIME };
    return new StageService(this.#permit(request), options, open);
  }

  /** The uploads that the client goes on with by their ids, for one request. */
  addressedUploads(request: AccessRequest, records: RecordKeeper): AddressedUploads {
    const options = { ...this.#uploading, records, ttl: 3_600_000 };
    return new AddressedUploads(this.#permit(request), options);
  }

  get #uploading(): UploadServiceOptions {
    return {
      storage: this.#storage,
      locks: this.#locks,
      runtime: RUNTIME,
      onStored: (file) => {
        this.stored.push(file);
        return Promise.resolve();
      },
      onTakenOver: () => {
        this.onTakenOver();
        this.takenOver.resolve();
      },
    };
  }

  #permit(request: AccessRequest): Permit {
    const principal = { grants: this.#grants, mayAuthenticate: false };
    const claimant = { principal, token: undefined, owner: this.#owner };
    return new Permit(new Authority({ anonymous: this.#grants }), claimant, request);
  }

  /** Uploads a file and waits until it is published. */
  async put(
    filename: string,
    content: IncomingContent,
    { overwrite = "never", offset = 0, size, partial, ...options }: PutOptions = {},
  ) {
    const whole = size === undefined ? content.size as number | null : size;
    const upload = {
      filename,
      size: whole,
      algorithm: content.algorithm,
      overwrite,
      offset,
      ...options,
    };
    const received = await this.uploads({ op: "put", filename }).put(upload, content, partial);
    return await received.published;
  }

  /** Offers a file. */
  async offer(filename: string, options: Partial<UploadOffer> = {}) {
    const offer = { size: 3, algorithm: "md5", overwrite: "never", checksum: null } as const;
    return await this.uploads({ op: "put", filename }).offer({
      ...offer,
      filename,
      restart: false,
      ...options,
    });
  }

  /** Offers a file and asserts that a partial upload of it is there. */
  async offerPartial(filename: string, size: number): Promise<OfferedUpload> {
    const answer = await this.offer(filename, { size });
    assert(answer.decision === "send" && answer.partial, Deno.inspect(answer));
    return answer.partial;
  }
}

/** How much a storage of the tests may hold, in bytes. */
export const QUOTA = 32 * MIB;

/** Each storage, with what disposes of it. */
const STORAGES: Record<string, (stack: AsyncDisposableStack) => Storage> = {
  MemoryStorage: (stack) => stack.use(new MemoryStorage({ quota: QUOTA })),
  FsStorage: (stack) => {
    const { path } = stack.use(new TempDir());
    return stack.use(FsStorage.open(path, { durability: "none", quota: QUOTA }));
  },
};

/** A test with each storage: the services behave the same whatever is below them. */
export function testFiles(name: string, run: (storage: Storage) => Promise<void>): void {
  for (const [kind, open] of Object.entries(STORAGES)) {
    Deno.test(`${name} (${kind})`, async () => {
      await using stack = new AsyncDisposableStack();
      await run(open(stack));
    });
  }
}
