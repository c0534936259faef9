/**
 * The receipts that a server gives for stored files, signed with the key of its certificate.
 *
 * @module
 */

import type { Clock } from "../lib/core/clock.ts";
import { canonicalText, digestsOf, receiptLine } from "../lib/core/receipt.ts";
import { VERSION } from "../lib/core/version.ts";
import type { TextSigner } from "../lib/security/text_signature.ts";
import type { ConfirmedFile } from "./files/file_service.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import type { Storage } from "./storage/storage.ts";

/** Gives receipts. */
export class Receipts {
  readonly #storage: Pick<Storage, "durability">;
  readonly #clock: Clock;
  #keyPair: KeyPair | undefined;
  /** Made when it is first needed: what signs takes time to load. */
  #signer: Promise<TextSigner> | undefined;

  /** @param keyPair the certificate, and the key that signs; without one nothing is signed */
  constructor(storage: Pick<Storage, "durability">, clock: Clock, keyPair: KeyPair | undefined) {
    this.#storage = storage;
    this.#clock = clock;
    this.#keyPair = keyPair;
  }

  /** Signs with another key from now on. */
  replace(keyPair: KeyPair): void {
    this.#keyPair = keyPair;
    this.#signer = undefined;
  }

  /**
   * The receipt for a file, as a line of JSON.
   *
   * @param address the address at which the client has reached the server
   * @throws {FerryError} `usage` if the key is of a kind with which nothing can be signed
   */
  async for({ filename, size, checksum }: ConfirmedFile, address: string): Promise<string> {
    const signer = await this.#loadSigner();
    const receipt = {
      filename,
      size,
      digests: digestsOf(checksum),
      time: new Date(this.#clock.now()).toISOString(),
      durability: this.#storage.durability ?? "none",
      server: {
        agent: `ferryd/${VERSION}`,
        address,
        ...(signer ? { certificate: signer.pin } : {}),
      },
    };
    if (!signer) return receiptLine(receipt);
    return receiptLine({ ...receipt, signature: await signer.sign(canonicalText(receipt)) });
  }

  async #loadSigner(): Promise<TextSigner | undefined> {
    const keyPair = this.#keyPair;
    if (!keyPair) return undefined;
    return await (this.#signer ??= import("../lib/security/text_signature.ts")
      .then(({ TextSigner }) => TextSigner.from(keyPair)));
  }
}
