/**
 * What `node:tls` needs to carry HTTP: a certificate that was checked, and a way to stop reading.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { Address } from "../../../lib/core/address.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { assertKeyPair, type KeyPair } from "../../net/tls_listener.ts";

/**
 * The options of a TLS server.
 *
 * @throws {FerryError} `usage` if certificate and key are not valid or do not match
 */
export function tlsOptions(keyPair: KeyPair): SecureContextOptions {
  assertKeyPair(keyPair);
  const { cert, key } = keyPair;
  return { cert, key, minVersion: "TLSv1.2" };
}

/** The address of the peer of a TLS socket, which that itself no longer knows when the handshake has failed. */
export function peerOf(socket: TLSSocket): Address {
  const { _parent: plain } = socket as unknown as { _parent?: Socket };
  const { remoteAddress: hostname = "", remotePort: port = 0 } = plain ?? socket;
  return { hostname, port };
}

/** The internal handle of a socket, which has no public type in Node. */
interface SocketHandle {
  readStart(): number;
  readStop(): number;
}

/**
 * Prepares a TLS socket whose handshake is done: it pauses the socket below when it pauses. Otherwise Deno goes on
 * reading, and decrypts into memory without a limit whatever the client sends.
 *
 * @returns the socket below
 * @throws {FerryError} `internal` if the runtime has no way to do so: such a connection is not served
 */
export function prepareTls(socket: TLSSocket): Socket {
  const { _parent: plain, _handle: handle } = socket as unknown as {
    _parent?: Socket & { _handle?: Partial<SocketHandle> | null };
    _handle?: SocketHandle | null;
  };
  const below = plain?._handle;
  if (!plain || !handle || !below?.readStart || !below.readStop) {
    socket.destroy();
    const reason = "the runtime has no way to pause reading from a TLS connection";
    throw new FerryError("internal", reason);
  }
  const { readStart, readStop } = handle;
  handle.readStart = () => {
    below.readStart!();
    return readStart.call(handle);
  };
  handle.readStop = () => {
    below.readStop!();
    return readStop.call(handle);
  };
  // A client may end its direction and wait for the response.
  socket.allowHalfOpen = true;
  return plain;
}
