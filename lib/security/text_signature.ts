/**
 * Signatures of texts with the key of a certificate: JSON Web Signatures in compact serialization with detached payload
 * (RFC 7515, appendix F), whose header has the certificate.
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { encodeBase64Url } from "@std/encoding/base64url";
import { CompactSign, compactVerify, decodeProtectedHeader, importPKCS8, importX509 } from "jose";
import { FerryError, toFerryError } from "../core/errors.ts";
import { pinOf } from "./certificate_pin.ts";

/** The algorithms, by the kinds of keys that certificates have. */
const ALGORITHMS = { RSA: "RS256", "P-256": "ES256", "P-384": "ES384", Ed25519: "EdDSA" } as const;

/** Matches a certificate in PEM. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** The certificates in a text in PEM, as DER. */
export function certificatesIn(pem: string): Uint8Array[] {
  return [...pem.matchAll(CERTIFICATE)].map(([, text]) => decodeBase64(text!.replace(/\s/g, "")));
}

/** Signs texts with the key of a certificate. */
export class TextSigner {
  readonly #key: Awaited<ReturnType<typeof importPKCS8>>;
  readonly #header: { alg: string; x5c: string[] };
  /** The fingerprint of the certificate. */
  readonly pin: string;

  private constructor(
    key: Awaited<ReturnType<typeof importPKCS8>>,
    header: { alg: string; x5c: string[] },
    pin: string,
  ) {
    this.#key = key;
    this.#header = header;
    this.pin = pin;
  }

  /**
   * A signer with a certificate, its chain and its key, all in PEM.
   *
   * @throws {FerryError} `usage` for a kind of key with which nothing can be signed here
   */
  static async from({ cert, key }: { cert: string; key: string }): Promise<TextSigner> {
    const certificates = certificatesIn(cert);
    const alg = algorithmFor(key);
    const pkcs8 = createPrivateKey(key).export({ format: "pem", type: "pkcs8" }) as string;
    const imported = await importPKCS8(pkcs8, alg);
    const x5c = certificates.map((each) => encodeBase64(each));
    return new TextSigner(imported, { alg, x5c }, await pinOf(certificates[0]!));
  }

  /** The signature of a text. */
  async sign(text: string): Promise<string> {
    const payload = new TextEncoder().encode(text);
    const signed = await new CompactSign(payload).setProtectedHeader(this.#header).sign(this.#key);
    const [header, , signature] = signed.split(".");
    return `${header}..${signature}`;
  }
}

function algorithmFor(key: string): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = createPrivateKey(key);
  if (type === "rsa") return ALGORITHMS.RSA;
  if (type === "ed25519") return ALGORITHMS.Ed25519;
  if (type === "ec" && details?.namedCurve === "prime256v1") return ALGORITHMS["P-256"];
  if (type === "ec" && details?.namedCurve === "secp384r1") return ALGORITHMS["P-384"];
  throw new FerryError("usage", `nothing can be signed with a key of the type ${type}`);
}

/** Who has signed a text. */
export interface Signatory {
  /** The fingerprint of the certificate. */
  readonly pin: string;
  /** The certificate, then those of its issuers, as far as they were given with the signature. */
  readonly certificates: readonly X509Certificate[];
}

/**
 * Checks the signature of a text.
 *
 * @returns who has signed it, whom the caller need not trust
 * @throws {FerryError} `checksum_mismatch` if it is not the signature of that text
 */
export async function signatoryOf(text: string, signature: string): Promise<Signatory> {
  try {
    const { x5c = [], alg = "" } = decodeProtectedHeader(signature);
    const certificates = x5c.map((each) => new X509Certificate(decodeBase64(each)));
    const [own] = certificates;
    if (!own) throw new Error("it has no certificate");
    const key = await importX509(own.toString(), alg);
    const [header, detached, end, ...more] = signature.split(".");
    if (detached !== "" || more.length > 0) throw new Error("its payload is not detached");
    const payload = encodeBase64Url(new TextEncoder().encode(text));
    const algorithms = Object.values(ALGORITHMS);
    await compactVerify(`${header}.${payload}.${end}`, key, { algorithms });
    return { pin: await pinOf(own.raw), certificates };
  } catch (cause) {
    const { message } = toFerryError(cause);
    throw new FerryError(
      "checksum_mismatch",
      "its signature is not valid: it was changed, or forged",
      {
        cause: new Error(message, { cause }),
        lasting: true,
      },
    );
  }
}

/** Whether a signatory has one of these certificates, or one that one of these has signed, in several steps at most. */
export function isIssuedBy(
  { certificates }: Signatory,
  authorities: readonly X509Certificate[],
): boolean {
  let [present, ...issuers] = certificates;
  while (present) {
    const certificate = present;
    if (authorities.some(({ raw }) => sameCertificate(raw, certificate.raw))) return true;
    if (authorities.some((authority) => hasSigned(authority, certificate))) return true;
    present = issuers.find((issuer) => hasSigned(issuer, certificate));
    issuers = issuers.filter((issuer) => issuer !== present);
  }
  return false;
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function sameCertificate(a: Uint8Array, b: Uint8Array): boolean {
  return encodeBase64(a) === encodeBase64(b);
}
