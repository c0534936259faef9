/**
 * Whether a symbolic link that a client has is wanted.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { decideLink, type Overwrite } from "../../lib/core/overwrite.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { SymbolicLinks } from "../storage/symbolic_links.ts";

/** A link that a client wants to make. */
export interface WantedLink {
  /** What it says. */
  readonly target: string;
  /** The modification time of the link itself, in milliseconds since 1970. */
  readonly mtime?: number | undefined;
  /** What happens to what has its name. */
  readonly overwrite: Overwrite;
}

/**
 * Decides whether a link is to be made (`send`), or what is there will do (`have`).
 *
 * @throws {FerryError} `denied` if the storage keeps no links; as `SymbolicLinks.assertKept`; `exists` if what is there
 * must not be replaced; `not_a_file` for a directory; as `SymbolicLinks.find`
 */
export async function decideOnLink(
  links: SymbolicLinks | undefined,
  name: FileName,
  { overwrite, ...link }: WantedLink,
): Promise<"send" | "have"> {
  if (!links) throw new FerryError("denied", "the server keeps no symbolic links");
  await links.assertKept(name, link.target);
  const there = await links.find(name);
  if (!there) return "send";
  if (there.type === "directory") throw new FerryError("not_a_file", "it is a directory");
  const decision = decideLink(overwrite, link, there);
  if (decision === "exists") throw new FerryError("exists", "something else has that name");
  return decision;
}
