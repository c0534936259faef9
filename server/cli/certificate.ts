/**
 * Self-signed certificates.
 *
 * @module
 */

// @peculiar/x509 requires this module to be loaded before it.
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

/** A certificate is valid from this long before now, in milliseconds, since the clocks of clients may be slow. */
const CLOCK_SKEW_MS = 60 * 60 * 1000;

/** Options of {@linkcode createCertificate}. */
export interface CertificateOptions {
  /** The names and IP addresses by which clients reach the server, at least one. */
  hosts: readonly string[];
  /** How long it is valid from now on, in milliseconds. */
  lifetime: number;
}

/** A new certificate with its key. */
export interface NewCertificate extends KeyPair {
  /** Its fingerprint, in the form of `--pin`. */
  pin: string;
}

/**
 * Generates a key (ECDSA on P-256) and a self-signed certificate for it.
 *
 * The certificate is not a CA certificate. Besides the names of the hosts it contains one for which no authority issues
 * certificates: a client that has pinned the certificate verifies it by that name.
 *
 * @throws {FerryError} `usage` for an invalid name
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
