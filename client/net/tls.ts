/**
 * TLS on the client side: which servers are trusted, and how a pinned certificate is checked.
 *
 * Deno verifies a server's certificate against its own authorities and those passed to it, and does not tell which
 * certificate it was. So a pinned certificate is first fetched over a connection of its own, on which nothing is sent.
 * Then the real connection is made with that certificate as an authority, for a name that is in the certificate.
 *
 * @module
 */

import { encodeBase64 } from "@std/encoding/base64";
import type { Address } from "../../lib/core/address.ts";
import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { parsePin, pinOf, UNISSUABLE_NAME } from "../../lib/security/certificate_pin.ts";

/** The certificates that a client trusts in addition to Deno's authorities. */
export interface TlsTrust {
  /** Certificates of authorities, or self-signed ones of servers, in PEM. */
  ca?: readonly string[] | undefined;
  /** The only certificates that are accepted, as `parsePin` returns them. */
  pins?: readonly string[] | undefined;
}

/** A pinned certificate that a server has. */
export interface Pinned {
  /** The certificates to trust for it, in PEM: itself, and its issuer. */
  authorities: string[];
  /** A name that the certificate is for. */
  name: string;
}

/** Encrypts connections to one server. */
export class TlsClient {
  readonly #trust: TlsTrust;
  #pinned: Pinned | undefined;

  /** A TLS client with the given trust. */
  constructor(trust: TlsTrust = {}) {
    this.#trust = trust;
  }

  /**
   * Checks a pinned certificate, before anything is sent.
   *
   * @returns what the next connection has to be secured with; undefined if no certificate is pinned
   * @throws {FerryError} `denied` where the server has another one
   */
  async prepare(address: Address, signal: AbortSignal): Promise<Pinned | undefined> {
    const { pins } = this.#trust;
    return pins && (this.#pinned ??= await findPinned(address, pins, signal));
  }

  /**
   * Performs the TLS handshake on a connection, and closes it on failure.
   *
   * @param pinned what {@linkcode TlsClient.prepare} has returned for this connection: another one that fails meanwhile
   * makes this client look for the certificate anew
   * @throws {FerryError} `denied` for a certificate that is not trusted; `bad_header` for a peer that does not
   * speak TLS; `closed`
   */
  async secure(
    conn: Deno.TcpConn,
    { hostname }: Address,
    { pinned, signal }: { pinned: Pinned | undefined; signal: AbortSignal },
  ): Promise<Deno.TlsConn> {
    const name = pinned?.name ?? hostname.replace(/%.*$/, "");
    const caCerts = [...pinned?.authorities ?? [], ...this.#trust.ca ?? []];
    let open: Deno.TcpConn | Deno.TlsConn = conn;
    const close = () => closeQuietly(open);
    signal.addEventListener("abort", close, { once: true });
    try {
      const secured = await Deno.startTls(conn, { hostname: name, caCerts });
      open = secured;
      await secured.handshake();
      return secured;
    } catch (error) {
      close();
      // The server may by now use another certificate, which is pinned as well.
      this.#pinned = undefined;
      throw explain(error, { name, pinned: pinned !== undefined });
    } finally {
      signal.removeEventListener("abort", close);
    }
  }
}

/** The error for a failed handshake, with an explanation for users. */
function explain(
  error: unknown,
  { name, pinned }: { name: string; pinned: boolean },
): FerryError {
  if (!(error instanceof Deno.errors.InvalidData)) return toFerryError(error);
  const [, flaw] = /^invalid peer certificate: (.*)$/s.exec(error.message) ?? [];
  if (flaw !== undefined) {
    // Two self-signed certificates of the same name differ only in their keys, so that the signature does not match.
    const reason = /^(UnknownIssuer|BadSignature)/.test(flaw)
      ? pinned
        ? "the authority that has signed it is not trusted here; name that one with --ca beside --pin"
        : "nobody who is trusted here has signed it; name it with --ca or --pin"
      : flaw.includes("CaUsedAsEndEntity")
      ? "it is one of an authority (CA:TRUE), and no server's; make one with ferryd cert, or with " +
        "openssl req -x509 and -addext basicConstraints=critical,CA:FALSE"
      : flaw.includes("UnsupportedCertVersion")
      ? "it has no extensions (X.509 version 1), and so no host; make one with a subjectAltName"
      : /^(NotValidForName|certificate not valid for name)/.test(flaw)
      ? `it is not for ${quote(name)}`
      : /^(Expired|certificate expired)/.test(flaw)
      ? "it has expired"
      : flaw;
    return new FerryError("denied", `the server's certificate is not trusted: ${reason}`, {
      cause: error,
    });
  }
  if (error.message.startsWith("received corrupt message")) return speaksNoTls(error);
  return new FerryError("bad_header", `TLS failed: ${error.message}`, { cause: error });
}

function speaksNoTls(cause: unknown): FerryError {
  return new FerryError("bad_header", "the server does not speak TLS", { cause });
}

/** A certificate that a server shows. */
export interface ShownCertificate {
  /** Its bytes, in DER. */
  der: Uint8Array;
  /** The certificate of its issuer, in DER, if the server shows that, too. */
  issuer: Uint8Array | undefined;
  /** The names and addresses that it is for, as OpenSSL writes them. */
  subjectAltName: string;
  /** When it begins and ceases to be valid, as text for people. */
  validFrom: string;
  validTo: string;
}

/**
 * Fetches the certificate of a server without any check, over a connection on which nothing else is sent.
 *
 * @throws {FerryError} `bad_header` for a server that does not speak TLS; `unreachable`, `closed`, …
 */
export async function certificateOf(
  address: Address,
  signal: AbortSignal,
): Promise<ShownCertificate> {
  const { connect } = await import("node:tls");
  signal.throwIfAborted();
  // Whether the certificate is trusted, and the server has its private key, is checked on the real connection.
  const socket = connect({
    host: address.hostname,
    port: address.port,
    rejectUnauthorized: false,
  });
  const close = () => void socket.destroy();
  signal.addEventListener("abort", close, { once: true });
  const done = Promise.withResolvers<void>();
  socket.once("secureConnect", () => done.resolve());
  socket.once(
    "close",
    () => done.reject(new FerryError("closed", "connection closed by the peer")),
  );
  // This handler stays until the end: an error after the last await would otherwise be unhandled.
  socket.on("error", (error: Error & { code?: string }) => {
    const plain = error.code === "ERR_SSL_WRONG_VERSION_NUMBER";
    done.reject(plain ? speaksNoTls(error) : toFerryError(error));
  });
  try {
    await done.promise;
    const shown = socket.getPeerCertificate(true);
    return {
      der: shown.raw,
      issuer: shown.issuerCertificate?.raw,
      subjectAltName: shown.subjectaltname ?? "",
      validFrom: shown.valid_from,
      validTo: shown.valid_to,
    };
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Looks whether the certificate of a server is pinned. */
async function findPinned(
  address: Address,
  pins: readonly string[],
  signal: AbortSignal,
): Promise<Pinned> {
  const { der, issuer, subjectAltName } = await certificateOf(address, signal);
  const found = await pinOf(der);
  if (!pins.includes(parsePin(found))) {
    throw new FerryError(
      "denied",
      `the server's certificate is not the pinned one: it is ${found}`,
    );
  }
  const authorities = issuer && await hasSigned(issuer, der) ? [der, issuer] : [der];
  return { authorities: authorities.map(toPem), name: nameIn(subjectAltName) };
}

/**
 * Whether a certificate has signed a pinned one: only then does the pin vouch for its key. Nothing vouches for the
 * issuer of that certificate in turn, since anybody can make another certificate for the same key.
 */
async function hasSigned(issuer: Uint8Array, pinned: Uint8Array): Promise<boolean> {
  const { X509Certificate } = await import("node:crypto");
  try {
    const authority = new X509Certificate(issuer);
    const certificate = new X509Certificate(pinned);
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    // The certificate is of a kind that cannot be parsed here.
    return false;
  }
}

/**
 * A name in a pinned certificate to verify it for: one that no authority signs for, or else any. In the second case,
 * another certificate for that name would also be accepted, if it was signed by one of Deno's authorities or by the
 * issuer of the pinned one.
 */
function nameIn(subjectAltName: string): string {
  const names = [...subjectAltName.matchAll(/(?:^|, )(DNS|IP Address):([^,"\s]+)(?=,|$)/g)]
    .map(([, kind, name]) => ({ kind, name: name! }));
  const found = names.find(({ name }) => name.toLowerCase() === UNISSUABLE_NAME) ??
    names.find(({ kind, name }) => kind === "DNS" && !name.includes("*")) ??
    names.find(({ kind }) => kind === "IP Address");
  if (found) return found.name;
  throw new FerryError(
    "denied",
    "the pinned certificate names no host, so it cannot be checked; make one with a subjectAltName",
  );
}

function toPem(der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
