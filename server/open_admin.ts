/**
 * Opens the socket by which the operator of `ferryd` reaches it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../lib/core/errors.ts";
import { PLATFORM } from "../lib/core/platform.ts";
import type { Admin } from "./admin/admin.ts";
import { AdminSocket, type SocketPlace } from "./admin/admin_socket.ts";

const logger = getLogger(["ferry", "server"]);

/**
 * Opens it.
 *
 * @param path what `--admin-socket` names. Default: undefined, where the storage has a place for it, unless its file
 * system takes no sockets: the log says so then
 * @throws {FerryError} as {@linkcode AdminSocket.open}, for a `path`
 */
export async function openAdmin(
  admin: Admin,
  { path, storage }: {
    path: string | undefined;
    storage: { readonly socketPlace?: SocketPlace | undefined };
  },
): Promise<AdminSocket | undefined> {
  if (path !== undefined) return await AdminSocket.open({ path, prepare: () => path }, admin);
  if (!PLATFORM.unixSockets) return undefined;
  try {
    const { socketPlace } = storage;
    return socketPlace && await AdminSocket.open(socketPlace, admin);
  } catch (error) {
    const { reason } = toFerryError(error);
    logger.warn(
      "ferryd status, kick and drain cannot reach this server: {reason}. Give it an --admin-socket",
      { reason },
    );
    return undefined;
  }
}
