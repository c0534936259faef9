/**
 * Checks receipts without their server: what they say, and who has signed it.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { openRegularFile, readRegularFile } from "../../lib/cli/input_file.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { canonicalText, parseReceipt, type SignedReceipt } from "../../lib/core/receipt.ts";
import { parsePin } from "../../lib/security/certificate_pin.ts";
import { certificatesIn, isIssuedBy, signatoryOf } from "../../lib/security/text_signature.ts";

/** Who may have signed receipts. With neither, anybody may, and a receipt need not be signed. */
export interface TrustedSignatories {
  /** A file with certificates in PEM: of servers, or of authorities that have signed those. */
  ca?: string | undefined;
  /** Fingerprints of certificates of servers. */
  pin: readonly string[];
}

/** A receipt whose signature is valid, or that has none. */
export interface CheckedReceipt {
  /** What it says. */
  readonly receipt: SignedReceipt;
  /** The fingerprint of the certificate with whose key it is signed; undefined if it is not. */
  readonly signedBy: string | undefined;
}

/** Checks receipts. */
export class ReceiptCheck {
  readonly #authorities: readonly X509Certificate[] | undefined;
  readonly #pins: readonly string[];

  /**
   * Checks against these signatories.
   *
   * @throws {FerryError} `usage` for an invalid pin or a file without certificates; what reading it fails with
   */
  constructor({ ca, pin }: TrustedSignatories) {
    this.#pins = pin.map(parsePin);
    this.#authorities = ca === undefined ? undefined : readAuthorities(ca);
  }

  /**
   * Checks a line.
   *
   * @param place where it stands, for people
   * @throws {FerryError} `bad_header` if it is no receipt; `checksum_mismatch` if its signature is not valid; `denied` if
   * it is signed by nobody who is trusted, or not signed
   */
  async line(line: string, place: string): Promise<CheckedReceipt> {
    const receipt = receiptIn(line, place);
    const action = `verify the receipt of ${quote(receipt.filename)}`;
    const { signature, server: { certificate } } = receipt;
    try {
      if (signature === undefined) {
        if (this.#trustsAnybody) return { receipt, signedBy: undefined };
        throw new FerryError("denied", "it is not signed: its server had no certificate");
      }
      const signatory = await signatoryOf(canonicalText(receipt), signature);
      const { pin } = signatory;
      const isTrusted = this.#trustsAnybody || this.#pins.includes(parsePin(pin)) ||
        this.#authorities !== undefined && isIssuedBy(signatory, this.#authorities);
      if (isTrusted && pin === certificate) return { receipt, signedBy: pin };
      throw new FerryError("denied", `it is signed by ${pin}, which is not trusted here`);
    } catch (error) {
      throw toFerryError(error).during(action);
    }
  }

  get #trustsAnybody(): boolean {
    return this.#pins.length === 0 && this.#authorities === undefined;
  }
}

function receiptIn(line: string, place: string): SignedReceipt {
  try {
    return parseReceipt(line);
  } catch (error) {
    throw toFerryError(error).during(`read ${place}`);
  }
}

function readAuthorities(path: string): X509Certificate[] {
  try {
    const found = certificatesIn(readRegularFile(path));
    if (found.length > 0) return found.map((der) => new X509Certificate(der));
    throw new FerryError("usage", "there is none in PEM");
  } catch (error) {
    throw toFerryError(error).during(`read the certificates in ${quote(path)}`);
  }
}

/** The longest line of a file of receipts, in characters: a receipt with a long chain of certificates is shorter. */
const MAX_LINE = 1024 * 1024;

/**
 * The lines of a file of receipts, with their numbers. The file may be of any size.
 *
 * @throws {FerryError} `bad_header` for a line that is too long for a receipt; what reading it fails with
 */
export async function* receiptLinesIn(
  path: string,
): AsyncGenerator<[number: number, line: string]> {
  try {
    using file = openRegularFile(path, { read: true }, Infinity);
    const decoder = new TextDecoder();
    let [rest, number] = ["", 0];
    for await (const bytes of file.readable) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        number++;
        if (line.trim() !== "") yield [number, line];
      }
      if (rest.length > MAX_LINE) {
        throw new FerryError("bad_header", `line ${number + 1} is too long for a receipt`);
      }
    }
    if (rest.trim() !== "") yield [number + 1, rest];
  } catch (error) {
    throw toFerryError(error).during(`read the receipts in ${quote(path)}`);
  }
}
