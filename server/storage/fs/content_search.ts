/**
 * Finds files of a root by their content. The index only proposes names: what is there now decides.
 *
 * @module
 */

import { algorithmOf } from "../../../lib/core/checksum.ts";
import { fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { turn } from "../../../lib/core/time_slices.ts";
import type { FoundContent, WantedContent } from "../contents.ts";
import { contentVersion } from "./content_version.ts";
import type { NamedRow } from "./content_names.ts";
import { ParentDirectories } from "./parent_directories.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";

/** How many contents are looked up before other requests get a turn. */
const FIND_AT_ONCE = 256;

/** How many names are tried for one content. */
const MAX_TRIES = 8;

/**
 * Finds files by their content.
 *
 * @param root the root, confined to what the client may read
 * @param below see `Storage.findContents`
 */
export async function findContents(
  served: ServedRoot,
  root: Root,
  wanted: readonly WantedContent[],
  below: readonly (FileName | "")[],
): Promise<(FoundContent | undefined)[]> {
  const found: (FoundContent | undefined)[] = [];
  for (let from = 0; from < wanted.length; from += FIND_AT_ONCE) {
    if (from > 0) await turn();
    using parents = new ParentDirectories(root);
    // Forgotten together, since each change of the index by itself takes longer than all look-ups of a content.
    const gone: NamedRow[] = [];
    for (const one of wanted.slice(from, from + FIND_AT_ONCE)) {
      found.push(findContent(served, parents, one, { below, gone }));
    }
    served.cache.names.forget(gone);
  }
  return found;
}

function findContent(
  served: ServedRoot,
  parents: ParentDirectories,
  { size, checksum }: WantedContent,
  { below, gone }: { below: readonly (FileName | "")[]; gone: NamedRow[] },
): FoundContent | undefined {
  const { names } = served.cache;
  for (const directory of below) {
    let row: NamedRow | undefined;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      row = names.find(size, checksum, directory, row);
      if (!row) break;
      const there = look(served, parents, row, { size, checksum });
      if (there === "gone") gone.push(row);
      else if (there) return there;
    }
  }
  return undefined;
}

/** What a row of the index has led to; "gone" if another content is there now, undefined if it cannot be told. */
function look(
  served: ServedRoot,
  parents: ParentDirectories,
  { name }: NamedRow,
  { size, checksum }: WantedContent,
): FoundContent | "gone" | undefined {
  try {
    const info = parents.look(name);
    if (!info?.isFile || info.size !== size) return "gone";
    const identity = served.cache.identify(info, name);
    if (checksum !== null) {
      const known = served.cache.lookup(identity, algorithmOf(checksum)!);
      if (known !== null && known !== checksum) return "gone";
    }
    return { name, version: contentVersion(served.secret, identity, name) };
  } catch (error) {
    // An error without a cause is about what this client may reach; another one may find the file.
    return fileError(error).code === "not_found" ? "gone" : undefined;
  }
}
