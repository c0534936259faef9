/**
 * The handshake: agreeing on a protocol version, and mutual authentication.
 *
 * @module
 */

import type { AuthReply } from "../../lib/wire/operations/auth.ts";
import { type Schema, timeoutKey } from "../../lib/wire/schema.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { HEADER_CHECKSUMS } from "../../lib/wire/header_checksum.ts";
import { type HelloReply, PROTOCOL_VERSION } from "../../lib/wire/operations/hello.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import { KEEP_ALIVE } from "../../lib/wire/keep_alive.ts";
import { ZSTD } from "../../lib/wire/pieces.ts";
import { MECHANISM, ScramClient } from "../../lib/security/scram.ts";
import type { Token } from "../../lib/security/token.ts";
import type { Wire } from "../../lib/wire/frames.ts";

/** Options of {@linkcode greet}. */
export interface GreetOptions {
  /** Milliseconds without a byte from the server after which the connection is closed. */
  timeout: number;
  /** Authenticates both sides to each other. */
  token?: Token | undefined;
  /** The level at which both sides compress, if the server does so. Default: they do not. */
  level?: number | undefined;
  /**
   * Whether a client without a token goes on where the server requires one, for the requests that it answers to anybody.
   * Default: false.
   */
  mayBeNobody?: boolean | undefined;
}

/**
 * Performs the handshake. With a token, the client proves that it knows the token, and makes the server prove the same.
 * That takes one more round trip than without a token, or two with a server that does not send the first message.
 *
 * @throws {FerryError} `auth_required` where the server requires a token; `denied` for a token that the server does not
 * accept, and for a server that does not know the token; `bad_version`, `bad_header`, `closed`, …
 */
export async function greet(
  wire: Wire,
  { token, timeout, level, mayBeNobody = false }: GreetOptions,
): Promise<HelloReply> {
  const scram = token && new ScramClient({ username: token.id, secret: token.secret });
  wire.headerChecksums = "sent";
  const hello = await ask(wire, OPERATIONS.hello.reply, {
    op: "hello",
    versions: [PROTOCOL_VERSION],
    features: [HEADER_CHECKSUMS, KEEP_ALIVE, ...(level === undefined ? [] : [ZSTD])],
    idle_ms: timeoutKey(timeout),
    ...(scram ? { scram: scram.first } : {}),
    ...(level === undefined ? {} : { zstd_level: level }),
  });
  wire.headerChecksums = hello.features.includes(HEADER_CHECKSUMS) ? "required" : "off";
  if (level !== undefined && hello.features.includes(ZSTD)) {
    await wire.compress(level, { tellsIdle: true });
  }
  if (hello.features.includes(KEEP_ALIVE)) {
    wire.keepAlive(hello.idle_ms, { answers: false });
  }
  if (hello.auth === "none") {
    if (!scram) return hello;
    // An impostor would not ask for a token, since it could not prove that it knows it.
    throw new FerryError(
      "denied",
      "the server asks nobody for a token, and so does not prove that it knows the one given here",
    );
  }
  if (!scram) {
    if (hello.scopes.length > 0 || mayBeNobody) return hello;
    throw new FerryError("auth_required", "the server wants a token");
  }
  if (hello.auth !== MECHANISM) {
    throw new FerryError("bad_version", `the server wants ${quote(hello.auth)}, not ${MECHANISM}`);
  }
  const challenge = hello.scram ?? (await authenticate(wire, scram.first)).scram;
  const { scram: proof, scopes } = await authenticate(wire, await scram.answer(challenge));
  scram.assertServer(proof);
  return { ...hello, scopes };
}

function authenticate(wire: Wire, scram: string): Promise<AuthReply> {
  return ask(wire, OPERATIONS.auth.reply, { op: "auth", scram });
}

async function ask<Reply>(
  wire: Wire,
  reply: Schema<Reply>,
  header: Readonly<Record<string, unknown>>,
): Promise<Reply> {
  await wire.writeFrame(header);
  await wire.flush();
  const frame = await wire.readFrame();
  if (!frame) throw new FerryError("closed", "the server ended the connection");
  return parseReply(reply, frame.header);
}
