/**
 * Requests for the hashes of the blocks of a file on the server.
 *
 * @module
 */

import { FerryError, type Place, quote, toFerryError, wasCut } from "../../lib/core/errors.ts";
import type { SignatureReply, SignatureRequest } from "../../lib/delta/signature.ts";
import { VerifyingReader } from "../../lib/transfer/receive.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { Frame } from "../../lib/wire/frames.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { Connection } from "./connection.ts";
import { assertAnswers, type RequestHeader } from "./reply_check.ts";

/** The name of the protocol feature. */
export const DELTA = "delta";

/** Asks for the hashes of one file, as often as they are needed, until disposed of. */
export class Signatures implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #filename: string;
  readonly #required: boolean;
  #version: string | undefined;
  /** Ends the last request, if its reply has not been read to its end. */
  #end: (() => Promise<void>) | undefined;

  /**
   * @param filename the name on the server
   * @param options.required whether somebody has asked for hashes of that very file. It is an error then, and a lasting
   * one, if there are none. Default: false
   */
  constructor(connection: Connection, filename: string, { required = false } = {}) {
    this.#connection = connection;
    this.#filename = filename;
    this.#required = required;
  }

  /**
   * The version of the file that all hashes are of.
   *
   * @throws {FerryError} `internal` before the first reply
   */
  get version(): string {
    if (this.#version !== undefined) return this.#version;
    throw new FerryError("internal", "nothing is known about the file yet");
  }

  /**
   * Asks for hashes. The reply has to be read to its end before the next request.
   *
   * @throws {FerryError} the server's error: `busy` where the file has changed since the first request
   */
  async fetch({ block, rolling, ranges }: SignatureRequest): Promise<SignatureReply> {
    await this.#end?.();
    const { channel, runtime: { digests } } = this.#connection;
    const body = ranges?.encoded;
    const header: RequestHeader = {
      op: "signature",
      filename: this.#filename,
      block,
      rolling,
      ...(this.#version === undefined ? {} : { version: this.#version }),
      ...checksumKeys("md5", body ? digests.md5Of(body) : null),
      ...(body ? { total_size: body.length } : {}),
    };
    const opened = Promise.withResolvers<SignatureReply>();
    const over = Promise.withResolvers<void>();
    const done = channel.fetch(header, async (reply) => {
      assertAnswers(header, reply.header);
      opened.resolve(await this.#read(reply, over.resolve));
      await over.promise;
    }, body).catch(opened.reject);
    this.#end = () => {
      over.resolve();
      return done;
    };
    try {
      return await opened.promise;
    } catch (error) {
      if (this.#required && this.#version === undefined) throw unusable(this.#filename, error);
      throw error;
    }
  }

  async #read({ header, body }: Frame, onEnd: () => void): Promise<SignatureReply> {
    const { size, strong, version } = parseReply(OPERATIONS.signature.reply, header);
    this.#version ??= version;
    const reader = await VerifyingReader.open(body, "the signature");
    return {
      size,
      strong,
      async read(into) {
        const count = await reader.read(into);
        if (count === 0) onEnd();
        return count;
      },
    };
  }

  /** Skips what is left of the last reply; where that is much, the connection is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end?.();
  }
}

/**
 * The error if a file that somebody has asked to use as a basis is of no use. It lasts, unless the connection was lost.
 *
 * @param side where the file is, if the reason does not say it. Default: on the server
 */
export function unusable(
  basis: string,
  reason: unknown,
  side: Place["side"] = "server",
): FerryError {
  const { code, reason: why, place = { side, path: basis }, cause } = toFerryError(reason);
  const said = `the basis ${quote(basis)} cannot be used: ${why}`;
  return new FerryError(code, said, { cause, place, lasting: !wasCut(reason) });
}
