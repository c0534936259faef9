/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): each side proves that it knows a secret without sending it. Both ends of the
 * exchange are here; they take messages and return messages, which the caller transports.
 *
 * Channel binding is not supported, since Deno does not expose the keys of a TLS connection. A server accepts the flags
 * `n` and `y`, and refuses `p`.
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import { FerryError } from "../core/errors.ts";
import { sameBytes } from "../core/constant_time.ts";

/** The name of the mechanism in the reply to a `hello`. */
export const MECHANISM = "scram-sha-256";

/**
 * The iteration count: the minimum that RFC 7677 allows, about a millisecond for a client. More iterations would make
 * it harder to guess passwords, but a token has 256 random bits, which cannot be guessed.
 */
export const SCRAM_ITERATIONS = 4096;

/** The most iterations that a client computes: a server must not be able to keep it busy. */
const MAX_ITERATIONS = 1_000_000;

/** The maximum length of a message, in UTF-16 code units. */
export const MAX_SCRAM_LENGTH = 2048;

const NONCE_BYTES = 18;

/** What a server stores of a secret: enough to check a proof, and not enough to make one. */
export interface ScramVerifier {
  /** Random bytes, different for each secret. */
  readonly salt: Uint8Array;
  /** The iteration count. */
  readonly iterations: number;
  /** The hash of the key that the client proves to know. */
  readonly storedKey: Uint8Array;
  /** The key that the server proves to know. */
  readonly serverKey: Uint8Array;
}

const utf8 = new TextEncoder();

/**
 * Creates what a server stores of a secret (RFC 5802, section 3).
 *
 * @param secret ASCII, so that it needs no preparation (RFC 4013)
 */
export async function createVerifier(
  secret: string,
  { salt, iterations }: { salt: Uint8Array; iterations: number },
): Promise<ScramVerifier> {
  const salted = await saltedPassword(secret, salt, iterations);
  const clientKey = await hmac(salted, "Client Key");
  return {
    salt,
    iterations,
    storedKey: await sha256(clientKey),
    serverKey: await hmac(salted, "Server Key"),
  };
}

/** The client: the side that wants to log in. It begins. */
export class ScramClient {
  readonly #secret: string;
  readonly #nonce: string;
  readonly #firstBare: string;
  #serverSignature: Uint8Array | undefined;

  /** Creates an exchange that proves the identity `username`. */
  constructor(
    { username, secret, nonce = newNonce() }: { username: string; secret: string; nonce?: string },
  ) {
    this.#secret = secret;
    this.#nonce = nonce;
    this.#firstBare = `n=${escapeName(username)},r=${nonce}`;
  }

  /** The first message to the server. */
  get first(): string {
    return GS2_HEADER + this.#firstBare;
  }

  /**
   * The second message, for the server, in answer to its first one.
   *
   * @throws {FerryError} `bad_header` for a message that no honest server sends
   */
  async answer(serverFirst: string): Promise<string> {
    const match = within(serverFirst) ? SERVER_FIRST.exec(serverFirst) : null;
    if (!match) throw malformed("the server's first message");
    const [, nonce, salt, count] = match as unknown as [string, string, string, string];
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) {
      throw new FerryError("bad_header", "the server's nonce does not begin with the client's");
    }
    const iterations = Number(count);
    if (iterations < SCRAM_ITERATIONS || iterations > MAX_ITERATIONS) {
      throw new FerryError(
        "bad_header",
        `the server asks for ${count} iterations; ${SCRAM_ITERATIONS} to ${MAX_ITERATIONS} are done`,
      );
    }
    const verifierSalt = fromBase64(salt, "the server's first message");
    const salted = await saltedPassword(this.#secret, verifierSalt, iterations);
    const clientKey = await hmac(salted, "Client Key");
    const withoutProof = `c=${encodeBase64(GS2_HEADER)},r=${nonce}`;
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const signature = await hmac(await sha256(clientKey), authMessage);
    this.#serverSignature = await hmac(await hmac(salted, "Server Key"), authMessage);
    return `${withoutProof},p=${encodeBase64(xor(clientKey, signature))}`;
  }

  /**
   * Checks the server's proof that it knows the verifier of the secret.
   *
   * @throws {FerryError} `denied` if the proof is wrong
   */
  assertServer(serverFinal: string): void {
    const match = within(serverFinal) ? SERVER_FINAL.exec(serverFinal) : null;
    const expected = this.#serverSignature;
    const right = match && expected &&
      sameBytes(fromBase64(match[1]!, "the server's last message"), expected);
    if (!right) {
      throw new FerryError("denied", "the server did not prove that it knows the token");
    }
  }
}

/** The server: the side that decides who may log in. It answers. */
export class ScramServer {
  readonly #gs2Header: string;
  readonly #firstBare: string;
  readonly #nonce: string;
  #serverFirst = "";
  #verifier: ScramVerifier | undefined;
  /** The user name that the client claims. */
  readonly username: string;

  /**
   * Creates an exchange from a client's first message.
   *
   * @param nonce the server's part of the nonce, which is appended to the client's
   * @throws {FerryError} `bad_header`
   */
  constructor(clientFirst: string, nonce: string = newNonce()) {
    const match = within(clientFirst) ? CLIENT_FIRST.exec(clientFirst) : null;
    if (!match) throw malformed("the client's first message");
    const [, header, flag, bare, username, clientNonce] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    if (flag.startsWith("p")) {
      throw new FerryError("bad_header", "channel binding is not supported");
    }
    this.#gs2Header = header;
    this.#firstBare = bare;
    this.username = unescapeName(username);
    this.#nonce = clientNonce + nonce;
  }

  /** The server's first message: nonce, salt and iterations. */
  challenge(verifier: ScramVerifier): string {
    this.#verifier = verifier;
    const { salt, iterations } = verifier;
    return this.#serverFirst = `r=${this.#nonce},s=${encodeBase64(salt)},i=${iterations}`;
  }

  /**
   * Checks the client's proof. If it is right, returns the server's final message with its own proof.
   *
   * @returns undefined if the client's proof is wrong
   * @throws {FerryError} `bad_header` for a message that does not belong to this exchange
   */
  async finish(clientFinal: string): Promise<string | undefined> {
    const match = within(clientFinal) ? CLIENT_FINAL.exec(clientFinal) : null;
    if (!match || !this.#verifier) throw malformed("the client's last message");
    const [, withoutProof, binding, nonce, proof] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
    ];
    if (binding !== encodeBase64(this.#gs2Header) || nonce !== this.#nonce) {
      throw new FerryError("bad_header", "the client's last message belongs to another exchange");
    }
    const { storedKey, serverKey } = this.#verifier;
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const given = fromBase64(proof, "the client's last message");
    const signature = await hmac(storedKey, authMessage);
    // A proof of another length is wrong. Checking it takes as long as for one of the right length.
    const clientKey = xor(signature, given);
    const right = sameBytes(await sha256(clientKey), storedKey);
    const serverSignature = await hmac(serverKey, authMessage);
    return right && given.length === signature.length
      ? `v=${encodeBase64(serverSignature)}`
      : undefined;
  }
}

/** The GS2 header: no channel binding, and no authorization identity. */
const GS2_HEADER = "n,,";

// RFC 5802, section 7. An unknown mandatory extension (`m=`) has to be refused: no pattern here matches it. Optional
// extensions after the known attributes are ignored.
const PRINTABLE = String.raw`[\x21-\x2b\x2d-\x7e]+`;
const BASE64 = "[A-Za-z0-9+/]+={0,2}";
const EXTENSIONS = String.raw`(?:,[A-Za-z]=[^,\0]+)*`;
const CLIENT_FIRST = new RegExp(
  String.raw`^((n|y|p=[A-Za-z0-9.-]+),,)(n=([^,\0]+),r=(${PRINTABLE})${EXTENSIONS})$`,
);
const SERVER_FIRST = new RegExp(`^r=(${PRINTABLE}),s=(${BASE64}),i=([1-9]\\d{0,8})${EXTENSIONS}$`);
const CLIENT_FINAL = new RegExp(
  `^(c=(${BASE64}),r=(${PRINTABLE})${EXTENSIONS}),p=(${BASE64})$`,
);
const SERVER_FINAL = new RegExp(`^v=(${BASE64})${EXTENSIONS}$`);

function within(message: string): boolean {
  return message.length <= MAX_SCRAM_LENGTH;
}

function malformed(what: string): FerryError {
  return new FerryError("bad_header", `${what} is not a valid SCRAM message`);
}

function fromBase64(text: string, where: string): Uint8Array {
  try {
    const bytes = decodeBase64(text);
    // Only the canonical form is accepted: unused bits are zero, and padding is present.
    if (encodeBase64(bytes) === text) return bytes;
  } catch {
    // It is not base64, as reported below.
  }
  throw malformed(where);
}

/** Random printable characters. Base64 contains no comma, as required. */
function newNonce(): string {
  return encodeBase64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
}

function escapeName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

function unescapeName(name: string): string {
  if (/=(?!2C|3D)/.test(name)) throw malformed("the name in the client's first message");
  return name.replaceAll("=2C", ",").replaceAll("=3D", "=");
}

async function saltedPassword(
  secret: string,
  salt: Uint8Array,
  iterations: number,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", utf8.encode(secret), "PBKDF2", false, [
    "deriveBits",
  ]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(salt), iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}

async function hmac(key: Uint8Array, message: string): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", new Uint8Array(key), algorithm, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, utf8.encode(message)));
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)));
}

/** The exclusive or. It is as long as the first array; missing bytes of the second count as zeros. */
function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}
