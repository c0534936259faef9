/**
 * What every {@linkcode Storage} owes to its callers, as one suite that is run for each implementation: the core, and a
 * part for each optional ability that it has. It knows nothing of where the files are.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { MAX_NAME_BYTES } from "../../lib/core/remote_name.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { testChanging } from "./conformance/changing.ts";
import { testContents } from "./conformance/contents.ts";
import { testConcurrency } from "./conformance/concurrency.ts";
import { testDeltas } from "./conformance/deltas.ts";
import { testInternal } from "./conformance/internal.ts";
import { testLinks } from "./conformance/links.ts";
import { testListing } from "./conformance/listing.ts";
import { testNames } from "./conformance/names.ts";
import { testPartialUploads } from "./conformance/partial_uploads.ts";
import { testReading } from "./conformance/reading.ts";
import { testStagedTrees } from "./conformance/staged_trees.ts";
import { testWriting } from "./conformance/writing.ts";

/** An empty storage and a view behind it. */
export interface TestedStorage extends AsyncDisposable {
  /** The storage; another object after {@linkcode TestedStorage.reopen}. */
  readonly storage: Storage;
  /** Closes the storage and opens it again over the same files. */
  reopen(): Promise<void>;
  /** What the storage keeps of writes that were not committed. */
  leftovers(): Promise<string[]>;
}

/** Registers a test, which is given an empty storage. */
export type Test = (criterion: string, run: (tested: TestedStorage) => Promise<void>) => void;

/** The abilities of {@linkcode Storage} that it need not have. */
export interface Abilities {
  /** Whether it keeps partial uploads. */
  partialUploads: boolean;
  /**
   * Whether a file that is open can be read to its end after another file got its name, or none. Otherwise a read may
   * fail then, but never gives bytes of two files.
   */
  keepsOpenFiles: boolean;
  /** Whether it publishes directories as one. */
  stagedTrees: boolean;
  /** Whether it keeps records of the server itself. */
  internal: boolean;
  /** Whether it finds files by their content. */
  contents: boolean;
  /** Whether lists tell the modification time and the mode that a file was stored with. */
  listsAttributes: boolean;
  /** Whether it keeps symbolic links. */
  links: boolean;
  /** How many bytes a name may have at most. A longer one is refused as `bad_name`. */
  longestName: number;
}

/** What a storage of files on a disk or in memory is able to do. */
export const ALL_ABILITIES: Abilities = {
  partialUploads: true,
  internal: true,
  stagedTrees: true,
  contents: true,
  keepsOpenFiles: true,
  listsAttributes: true,
  links: true,
  longestName: MAX_NAME_BYTES,
};

/** The abilities of the storage of records, which is in a storage with the given ones. */
export function recordAbilities(abilities: Abilities): Abilities {
  return { ...abilities, internal: false, links: false, stagedTrees: false, contents: false };
}

/** The storage of records in a storage, as one that the suite can test. */
export async function recordsIn(around: TestedStorage): Promise<TestedStorage> {
  const open = () => around.storage.internal!();
  let storage = await open();
  return {
    get storage() {
      return storage;
    },
    async reopen() {
      await around.reopen();
      storage = await open();
    },
    leftovers: () => around.leftovers(),
    [Symbol.asyncDispose]: () => around[Symbol.asyncDispose](),
  };
}

/**
 * Registers the suite; `make` gives an empty storage for each test of it.
 *
 * @param ignored why the tests cannot run here; undefined where they can
 */
export function testStorage(
  title: string,
  make: () => Promise<TestedStorage>,
  abilities: Abilities,
  ignored?: string,
): void {
  const reason = ignored === undefined ? "" : ` (ignored: ${ignored})`;
  const test: Test = (criterion, run) => {
    const fn = async () => {
      await using tested = await make();
      await run(tested);
      assertEquals(await tested.leftovers(), [], "something was left behind");
    };
    Deno.test({ name: `${title}: ${criterion}${reason}`, ignore: ignored !== undefined, fn });
  };

  testWriting(test);
  testConcurrency(test, abilities);
  testReading(test, abilities);
  testListing(test, abilities);
  testNames(test, abilities);
  testChanging(test);
  testDeltas(test);
  if (abilities.internal) testInternal(test);
  if (abilities.stagedTrees) testStagedTrees(test);
  if (abilities.contents) testContents(test);
  if (abilities.links) testLinks(test);
  else {
    test("it keeps no links", ({ storage }) => {
      assertEquals(storage.links, undefined);
      return Promise.resolve();
    });
  }
  if (abilities.partialUploads) testPartialUploads(test);
  else {
    test("it keeps no partial uploads", ({ storage }) => {
      assertEquals(storage.partialUploads, undefined);
      return Promise.resolve();
    });
  }
}
