/**
 * Finds out by few requests which of many names stand for nothing: the names of a directory that is uploaded for the
 * first time.
 *
 * @module
 */

import { compareNames, sortNames } from "../../../lib/core/name_order.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { Bucket, ListPage, RequestOptions } from "./bucket.ts";
import { prefixOf } from "./object_names.ts";

/** So many names of one directory are looked up by a list of it rather than one by one. */
const WORTH_A_LIST = 4;

/** A list ends early where it has more pages than one for so many names: the directory has much else in it. */
const NAMES_A_PAGE = 8;

/**
 * Those of the names under which there is neither a file nor a directory. It need not find all of them. Lists that fail
 * find nothing.
 */
export async function absentNames(
  bucket: Bucket,
  names: readonly FileName[],
  options: RequestOptions = {},
): Promise<Set<FileName>> {
  const absent = new Set<FileName>();
  for (const [parent, children] of Map.groupBy(new Set(names), (name) => parentName(name))) {
    if (children.length < WORTH_A_LIST) continue;
    try {
      for (const name of await absentIn(bucket, parent, { names: children, ...options })) {
        absent.add(name);
      }
    } catch {
      options.signal?.throwIfAborted();
      // Looking up the names one by one tells the reason.
    }
  }
  return absent;
}

async function absentIn(
  bucket: Bucket,
  parent: FileName | "",
  { names, signal }: { names: FileName[] } & RequestOptions,
): Promise<FileName[]> {
  const sorted = sortNames(names) as FileName[];
  const prefix = prefixOf(parent);
  const seen = new Set<string>();
  // As the key of a directory ends with a slash, all that a name may stand for lies before this.
  const last = `${sorted.at(-1)!}/`;
  const startAfter = before(sorted[0]!, prefix);
  let page: ListPage | undefined;
  for (let pages = Math.ceil(names.length / NAMES_A_PAGE); pages > 0; pages--) {
    page = await bucket.list({
      prefix,
      delimiter: "/",
      ...page ? { next: page.next } : { startAfter },
      signal,
    });
    const keys = [...page.objects.map(({ key }) => key), ...page.prefixes];
    for (const key of keys) seen.add(key);
    if (page.next === undefined || keys.some((key) => compareNames(key, last) >= 0)) break;
  }
  // Names behind the last key were not reached.
  const reached = page?.next === undefined ? undefined : sortNames([...seen]).at(-1);
  return sorted.filter((name) =>
    !seen.has(name) && !seen.has(`${name}/`) &&
    (reached === undefined || compareNames(`${name}/`, reached) < 0)
  );
}

/** A key before a name, and after most of what comes before that; undefined for the start of the directory. */
function before(name: FileName, prefix: string): string | undefined {
  const shorter = [...name].slice(0, -1).join("");
  return shorter.length > prefix.length ? shorter : undefined;
}
