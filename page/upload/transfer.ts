/// <reference lib="dom" />
/**
 * The upload of one file, from its first byte or from where an earlier one ended, until the server has shown that it
 * stored the same bytes.
 *
 * @module
 */

import type { FileDigest } from "./digests.ts";
import { UploadFailure } from "./failure.ts";
import type { Progress, Tus, UploadedFile } from "./tus.ts";
import { unlessAborted, type Waits } from "./waits.ts";

/** Files up to this size are sent by one request. */
export const WHOLE_BYTES: number = 8 * 1024 * 1024;

/** How many bytes a request carries at most. */
export const PART_BYTES: number = 64 * 1024 * 1024;

/** How often an upload that the server has lost, or refused for its digest, is begun anew. */
const BEGINNINGS = 3;

/** How often in a row the server may have another offset than was expected. */
const MAX_OFFSETS = 10;

/** How the transfer of a file is going. */
export type Phase = "reading" | "sending" | "paused" | "checking";

/** What a transfer needs. */
export interface TransferOptions {
  readonly tus: Tus;
  readonly digest: FileDigest;
  readonly signal: AbortSignal;
  readonly waits: Waits;
  /** The address of an earlier upload of this file, which is continued if its bytes are the same. */
  readonly earlier?: string | undefined;
  /** Called with the address of the upload when it can be continued, and with undefined when it cannot any more. */
  onAddress(url: string | undefined): void;
  onPhase(phase: Phase): void;
  /** Called with the number of bytes that were sent or that the server had. */
  onOffset(bytes: number): void;
}

/** Sends one file. */
export class Transfer {
  readonly #file: UploadedFile;
  readonly #options: TransferOptions;
  #url: string | undefined;
  /** Whether the bytes that the server has are known to be those of this file. */
  #proven = false;
  #beginnings = 0;
  #failures = 0;

  /** Prepares the upload of a file. */
  constructor(file: UploadedFile, options: TransferOptions) {
    this.#file = file;
    this.#options = options;
    this.#url = options.earlier;
  }

  /**
   * Sends the file.
   *
   * @returns its MD5 in hexadecimal, which is that of the stored file as well
   * @throws {UploadFailure} if it was not stored, and waiting does not help; `differs` if other bytes were
   */
  async run(): Promise<string> {
    const { digest, signal, onPhase, onAddress } = this.#options;
    const stored = await this.#retried(() => this.#sent());
    onAddress(undefined);
    onPhase("checking");
    const own = await digest.at(this.#file.blob.size);
    signal.throwIfAborted();
    if (stored !== own) throw new UploadFailure("differs");
    return own;
  }

  /** Does something until it succeeds, or fails in a way that trying again does not change. */
  async #retried<T>(action: () => Promise<T>): Promise<T> {
    const { signal, waits, onPhase, onAddress } = this.#options;
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (!(error instanceof UploadFailure)) throw error;
        if (this.#isElsewhere(error)) {
          // The next attempt asks for the offset.
          if (++this.#failures > MAX_OFFSETS) throw error;
        } else if (this.#mayBeginAnew(error)) {
          this.#url = undefined;
          onAddress(undefined);
        } else {
          if (error.passes || error.status === 401) onPhase("paused");
          await waits.after(error, this.#failures++, signal);
        }
      }
    }
  }

  /** Whether the server has another offset than was expected. */
  #isElsewhere({ status, code }: UploadFailure): boolean {
    return this.#url !== undefined && status === 409 && code !== "not_a_file";
  }

  #mayBeginAnew(error: UploadFailure): boolean {
    const isLost = this.#url !== undefined && error.isGone;
    const isDamaged = error.code === "checksum_mismatch";
    return (isLost || isDamaged) && ++this.#beginnings < BEGINNINGS;
  }

  /** Sends what the server does not have. @returns the MD5 of the stored file */
  async #sent(): Promise<string> {
    const { blob: { size } } = this.#file;
    let progress = await this.#begun();
    while (progress.stored === undefined) {
      progress = await this.#append(progress.offset);
      this.#failures = 0;
      if (progress.offset === size && progress.stored === undefined) {
        throw new UploadFailure("differs");
      }
    }
    this.#options.onOffset(size);
    return progress.stored;
  }

  /** Continues the upload, or creates it. */
  async #begun(): Promise<Progress> {
    const { onOffset } = this.#options;
    const found = this.#url === undefined ? undefined : await this.#continued(this.#url);
    if (found) {
      onOffset(found.offset);
      return found;
    }
    if (this.#file.blob.size <= WHOLE_BYTES) return await this.#create();
    onOffset(0);
    this.#options.onPhase("sending");
    const created = await this.#created();
    this.#url = created.url;
    this.#proven = true;
    this.#options.onAddress(created.url);
    return created;
  }

  /** Creates the upload. If that is cancelled meanwhile, what the server has made is removed when its address is known. */
  async #created(): Promise<Progress & { url: string }> {
    const { tus, signal } = this.#options;
    const creating = tus.create(this.#file, { whole: false });
    try {
      return await unlessAborted(creating, signal);
    } catch (error) {
      if (signal.aborted) creating.then(({ url }) => tus.remove(url), () => {});
      throw error;
    }
  }

  /** Sends a small file by one request. */
  async #create(): Promise<Progress> {
    const { tus, digest, signal, onPhase, onOffset } = this.#options;
    onPhase("sending");
    const md5 = await digest.at(this.#file.blob.size);
    signal.throwIfAborted();
    const onSent = onOffset;
    const progress = await tus.create(this.#file, { whole: true, md5, signal, onSent });
    if (progress.stored === undefined) this.#url = progress.url;
    this.#proven = true;
    return progress;
  }

  /** How far an earlier upload is; undefined if it is none of this file. */
  async #continued(url: string): Promise<Progress | undefined> {
    const { tus, digest, signal, onPhase } = this.#options;
    const { blob: { size } } = this.#file;
    const progress = await tus.look(url, signal);
    if (this.#proven) return progress;
    onPhase("reading");
    const isSame = progress.size === size && progress.offset <= size &&
      progress.prefix === await digest.at(progress.offset);
    signal.throwIfAborted();
    if (isSame) {
      this.#proven = true;
      return progress;
    }
    this.#url = undefined;
    this.#options.onAddress(undefined);
    await tus.remove(url);
    return undefined;
  }

  /** Sends the next part. */
  async #append(offset: number): Promise<Progress> {
    const { tus, digest, signal, onPhase, onOffset } = this.#options;
    const { blob } = this.#file;
    onPhase("sending");
    const end = Math.min(offset + PART_BYTES, blob.size);
    const isLast = end === blob.size;
    // While a part is sent, it is digested; only the last one waits for that, since it tells the digest of the file.
    if (!isLast) digest.advance(end);
    const md5 = isLast ? await digest.at(end) : undefined;
    signal.throwIfAborted();
    const part = { offset, bytes: blob.slice(offset, end), size: blob.size };
    const onSent = (bytes: number) => onOffset(offset + bytes);
    return await tus.append(this.#url!, part, { md5, signal, onSent });
  }
}
