/**
 * Requests that take many names away on a server, or keep files under a second name.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import { MOVE_KEEP } from "../../lib/wire/operations/move.ts";
import { REMOVE_WITHIN } from "../../lib/wire/operations/within.ts";
import type { Connection } from "./connection.ts";
import { assertAnswers, type RequestHeader } from "./reply_check.ts";
import type { PipelinedItem } from "./request_channel.ts";

/** Something that is to be taken away. */
export interface Removal {
  /** The name on the server. */
  readonly filename: string;
  /** Whether it is a directory, which goes with all that is in it. */
  readonly directory: boolean;
  /** The name that it gets instead of being deleted; undefined where it is deleted. */
  to?: string | undefined;
  /** Whether it keeps its name, and gets `to` as well. Default: false. */
  readonly keep?: boolean | undefined;
}

/** Options of {@linkcode removeEach}. */
export interface RemoveEachOptions<Item extends Removal> {
  /** The directory that all names are in: no link below it leads the server elsewhere. */
  within: string;
  /** Returns the next item; undefined where there are no more. */
  next(): Item | undefined;
  /** Called for each item, with its failure where it has one. */
  settle(item: Item, failure?: FerryError): void;
}

/**
 * Takes names away, by pipelined requests.
 *
 * @throws {FerryError} the failure that ends the connection
 */
export function removeEach<Item extends Removal>(
  { channel }: Connection,
  { within, next, settle }: RemoveEachOptions<Item>,
): Promise<void> {
  const request = (): PipelinedItem<Item> | undefined => {
    const item = next();
    return item && { item, header: headerOf(item, within) };
  };
  return channel.pipeline(request, (reply, { item, header }) => {
    try {
      assertAnswers(header, reply.header);
      parseReply(OPERATIONS.remove.reply, reply.header);
    } catch (error) {
      return settle(item, toFerryError(error));
    }
    settle(item);
  });
}

function headerOf({ filename, directory, to, keep }: Removal, within: string): RequestHeader {
  if (to === undefined) return { op: "remove", filename, recursive: directory, within };
  const move = { op: "move", filename, to, overwrite: "never" };
  // What is kept is replaced through the very same links.
  return keep ? { ...move, keep } : { ...move, within };
}

/**
 * Checks that names in a directory may be listed and taken away, without changing anything: the server is asked to do so
 * with a name that nothing has.
 *
 * @param directory the directory on the server, which need not exist
 * @param backup the directory that they would be moved into. Default: they are deleted.
 * @throws {FerryError} `bad_version`, `bad_name`, `denied`, `auth_required`
 */
export async function assertMayRemove(
  connection: Connection,
  directory: string,
  backup: string | undefined,
): Promise<void> {
  connection.assertFeature(REMOVE_WITHIN, "the deletion of what is no longer there");
  if (backup !== undefined) connection.assertFeature(MOVE_KEEP, "backups");
  const nobody = crypto.randomUUID();
  const name = (above: string) => above === "" ? nobody : `${above}/${nobody}`;
  const to = backup === undefined ? undefined : name(backup);
  const probe = { filename: name(directory), directory: false, to };
  await absent(() => connection.stat(probe.filename));
  const { channel } = connection;
  await absent(() => channel.ask(OPERATIONS.remove.reply, headerOf(probe, directory)));
}

/** Runs a request about a name that nothing has. */
async function absent(ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    const { code, reason, lasting, place } = toFerryError(error);
    // Where the directory is a file, the transfer says so.
    if (code === "not_found" || code === "not_a_file") return;
    if (place?.path === undefined) throw error;
    // The name says nothing to anybody.
    throw new FerryError(code, reason, { lasting, cause: error, place: { side: place.side } });
  }
}
