/**
 * TLS on the side of the client: whom to trust, and how a pinned certificate is made sure of.
 *
 * Deno checks a server's certificate against the authorities that it trusts anyway and those that it is
 * given, and shows nobody which certificate it was. So a pinned one is looked at first, on a connection of
 * its own over which nothing is sent. Then the connection proper is made with that certificate as an
 * authority, and for a name that stands in it.
 *
 * @module
 */

import { encodeBase64 } from "@std/encoding/base64";
import type { Address } from "../../lib/core/address.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { parsePin, pinOf, UNISSUABLE_NAME } from "../../lib/security/certificate_pin.ts";

/** Whom a client trusts beside the authorities that Deno trusts anyway. */
export interface TlsTrust {
  /** Certificates of authorities, or of servers that have signed their own, in PEM. */
  ca?: readonly string[] | undefined;
  /** The only certificates that are trusted at all, as `parsePin` gives them. */
  pins?: readonly string[] | undefined;
}

interface Pinned {
  /** What vouches for it, in PEM: itself, and who has signed it. */
  authorities: string[];
  /** A name that the certificate is for. */
  name: string;
}

/** Encrypts connections to one server. */
export class TlsClient {
  readonly #trust: TlsTrust;
  #pinned: Pinned | undefined;

  /** One that trusts these. */
  constructor(trust: TlsTrust = {}) {
    this.#trust = trust;
  }

  /**
   * Makes sure of a pinned certificate, before anything is sent.
   *
   * @throws {FerryError} `denied` where the server has another one
   */
  async prepare(address: Address, signal: AbortSignal): Promise<void> {
    const { pins } = this.#trust;
    if (pins) this.#pinned ??= await findPinned(address, pins, signal);
  }

  /**
   * Does the handshake on a connection, which is closed where that fails.
   *
   * @throws {FerryError} `denied` for a certificate that is not trusted; `bad_header` for a peer that does not
   * speak TLS; `closed`
   */
  async secure(
    conn: Deno.TcpConn,
    { hostname }: Address,
    signal: AbortSignal,
  ): Promise<Deno.TlsConn> {
    const pinned = this.#pinned;
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
      // The server may have another certificate by now that is pinned as well.
      this.#pinned = undefined;
      throw explain(error, { name, pinned: pinned !== undefined });
    } finally {
      signal.removeEventListener("abort", close);
    }
  }
}

/** What a failed handshake means for whoever wanted it. */
function explain(
  error: unknown,
  { name, pinned }: { name: string; pinned: boolean },
): FerryError {
  if (!(error instanceof Deno.errors.InvalidData)) return toFerryError(error);
  const [, flaw] = /^invalid peer certificate: (.*)$/s.exec(error.message) ?? [];
  if (flaw !== undefined) {
    // Two that have signed their own and have the same name differ by what the signature shows.
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

/** Looks at the certificate of a server, over a connection that is good for nothing else. */
async function findPinned(
  address: Address,
  pins: readonly string[],
  signal: AbortSignal,
): Promise<Pinned> {
  const { connect } = await import("node:tls");
  signal.throwIfAborted();
  // Which certificate it is is compared below; that the server has the key to it shows on the connection
  // proper.
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
  // It stays until the end: an error behind the last await would be one that nobody handles.
  socket.on("error", (error: Error & { code?: string }) => {
    const plain = error.code === "ERR_SSL_WRONG_VERSION_NUMBER";
    done.reject(plain ? speaksNoTls(error) : toFerryError(error));
  });
  try {
    await done.promise;
    const { raw, subjectaltname = "", issuerCertificate } = socket.getPeerCertificate(true);
    const found = await pinOf(raw);
    if (!pins.includes(parsePin(found))) {
      throw new FerryError(
        "denied",
        `the server's certificate is not the pinned one: it is ${found}`,
      );
    }
    const issuer = issuerCertificate?.raw;
    const authorities = issuer && await hasSigned(issuer, raw) ? [raw, issuer] : [raw];
    return { authorities: authorities.map(toPem), name: nameIn(subjectaltname) };
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/**
 * Whether a certificate has really signed a pinned one: only then does the pin vouch for its key. Nothing vouches
 * for who has signed that one in turn, since anybody can make another certificate for the same key.
 */
async function hasSigned(issuer: Uint8Array, pinned: Uint8Array): Promise<boolean> {
  const { X509Certificate } = await import("node:crypto");
  try {
    const authority = new X509Certificate(issuer);
    const certificate = new X509Certificate(pinned);
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    // Of a kind that nothing here can read.
    return false;
  }
}

/**
 * A name to check a pinned certificate by: the one that no authority signs for, or else any that is in it.
 * In the second case another certificate for that name would pass as well, if one of the authorities had signed it
 * that are trusted anyway, or the one that has signed this.
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

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed by the runtime already, after an error.
  }
}
