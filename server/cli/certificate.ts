/**
 * Certificates that ferryd makes for itself.
 *
 * @module
 */

// The library looks for it as soon as it is loaded.
import "reflect-metadata";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { assertAscii } from "../../lib/core/address.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { pinOf, UNISSUABLE_NAME } from "../../lib/security/certificate_pin.ts";
import type { KeyPair } from "../net/tls_listener.ts";

/** Clocks differ; a certificate that was made on one machine is to be valid on another at once. */
const CLOCK_SKEW_MS = 60 * 60 * 1000;

/** Options of {@linkcode createCertificate}. */
export interface CertificateOptions {
  /** The names and addresses by which clients reach the server; at least one. */
  hosts: readonly string[];
  /** Milliseconds from now on after which it is not valid any more. */
  lifetime: number;
}

/** A certificate that was just made, and what clients know it by. */
export interface NewCertificate extends KeyPair {
  /** Its fingerprint, as `--pin` takes it. */
  pin: string;
}

/**
 * Makes a key (ECDSA on P-256) and a certificate for it that it has signed itself.
 *
 * It is no authority for others. Beside the names of its hosts it has one that nobody can get a certificate for
 * elsewhere, by which a client that has pinned it makes sure that it is this one.
 *
 * @throws {FerryError} `usage` for a name that is none
 */
export async function createCertificate(
  { hosts, lifetime }: CertificateOptions,
): Promise<NewCertificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const now = Date.now();
  const names = [...new Set(hosts.map((host) => host.replace(/^\[(.*)\]$/, "$1")))].map(nameOf);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=ferryd",
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + lifetime),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([...names, { type: "dns", value: UNISSUABLE_NAME }]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: certificate.toString("pem") + "\n",
    key: PemConverter.encode(key, "PRIVATE KEY") + "\n",
    pin: await pinOf(new Uint8Array(certificate.rawData)),
  };
}

const LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
const HOST_NAME = new RegExp(`^(\\*\\.)?${LABEL}(\\.${LABEL})*$`, "i");

function nameOf(host: string): JsonGeneralName {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host) || host.includes(":")) {
    if (isAddress(host)) return { type: "ip", value: host };
  } else if (HOST_NAME.test(host)) {
    return { type: "dns", value: host };
  }
  assertAscii(host);
  throw new FerryError("usage", `${quote(host)} is neither the name nor the address of a host`);
}

function isAddress(text: string): boolean {
  return URL.canParse(text.includes(":") ? `http://[${text}]` : `http://${text}`);
}
