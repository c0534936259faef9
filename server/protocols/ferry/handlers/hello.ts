/**
 * `hello`: negotiates the version and the optional features of the protocol, and may begin a login.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";
import { VERSION } from "../../../../lib/core/version.ts";
import { type HelloRequest, PROTOCOL_VERSION } from "../../../../lib/wire/operations/hello.ts";
import { MOVE_KEEP } from "../../../../lib/wire/operations/move.ts";
import { REMOVE_WITHIN } from "../../../../lib/wire/operations/within.ts";
import { timeoutKey } from "../../../../lib/wire/schema.ts";
import { HEADER_CHECKSUMS } from "../../../../lib/wire/header_checksum.ts";
import { KEEP_ALIVE } from "../../../../lib/wire/keep_alive.ts";
import { DEFAULT_LEVEL, ZSTD } from "../../../../lib/wire/pieces.ts";
import type { Handler } from "../exchange/exchange.ts";

/** The optional features of the protocol that every server of this version supports. */
const FEATURES = [
  "streamed",
  "pipelining",
  "offer",
  "resume",
  "compare",
  "sha256",
  "xxh128",
  "discard",
  "range",
  "delta",
  "known",
  REMOVE_WITHIN,
  MOVE_KEEP,
  "atomic",
  "streams",
  "verify",
  "receipt",
];

/** The optional features that need both sides: a server announces one only if the client has announced it. */
const MUTUAL_FEATURES = [HEADER_CHECKSUMS, KEEP_ALIVE];

/** The highest level at which this server compresses, whatever a client asks for: higher ones cost too much time. */
const MAX_SERVER_LEVEL = 6;

/** Answers a `hello`. */
export const hello: Handler<HelloRequest> = {
  action: () => "agree on a version",

  async answer(exchange) {
    const { connection, request } = exchange;
    const { wire, identity, client, options: { commands, links, storage, idleTimeout } } =
      connection;
    assertVersion(request);
    const features = [
      ...FEATURES,
      ...(commands ? ["exec"] : []),
      ...(links ? ["share"] : []),
      ...(storage.links ? ["links"] : []),
      ...MUTUAL_FEATURES.filter((feature) => request.features.includes(feature)),
      ...(request.features.includes(ZSTD) && connection.mayCompress() ? [ZSTD] : []),
    ];
    const keepsAlive = features.includes(KEEP_ALIVE);
    const { mechanism: auth, scopes } = identity;
    const { scram } = request;
    const login = auth === "none" ? {} : {
      ...(scram === undefined ? {} : { scram: await identity.challenge(scram) }),
      scopes,
    };
    if (features.includes(HEADER_CHECKSUMS)) wire.headerChecksums = "required";
    const goOn = await exchange.reply({
      version: PROTOCOL_VERSION,
      versions: [PROTOCOL_VERSION],
      features,
      ...(keepsAlive ? { idle_ms: timeoutKey(idleTimeout) } : {}),
      auth,
      agent: `ferryd/${VERSION}`,
      session: client.id,
      ...login,
    });
    if (features.includes(ZSTD)) {
      // The reply is the last message that is not in pieces.
      await connection.replies.settle();
      const level = Math.min(request.zstd_level ?? DEFAULT_LEVEL, MAX_SERVER_LEVEL);
      await wire.compress(level, { tellsIdle: false });
    }
    if (keepsAlive) wire.keepAlive(request.idle_ms, { answers: true });
    return goOn;
  },
};

function assertVersion({ versions }: HelloRequest): void {
  if (versions.includes(PROTOCOL_VERSION)) return;
  throw new FerryError(
    "bad_version",
    `this server speaks version ${PROTOCOL_VERSION}, the client ${versions.join(", ") || "none"}`,
  );
}
