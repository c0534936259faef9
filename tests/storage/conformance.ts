/**
 * What every {@linkcode Storage} owes to its callers, as one suite that is run for each implementation: the core, and a
 * part for each optional ability that it has. It knows nothing of where the files are.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Storage } from "../../server/storage/storage.ts";
import { testChanging } from "./conformance/changing.ts";
import { testConcurrency } from "./conformance/concurrency.ts";
import { testListing } from "./conformance/listing.ts";
import { testNames } from "./conformance/names.ts";
import { testPartialUploads } from "./conformance/partial_uploads.ts";
import { testReading } from "./conformance/reading.ts";
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
}

/** Registers the suite; `make` gives an empty storage for each test of it. */
export function testStorage(
  title: string,
  make: () => Promise<TestedStorage>,
  abilities: Abilities,
): void {
  const test: Test = (criterion, run) => {
    Deno.test(`${title}: ${criterion}`, async () => {
      await using tested = await make();
      await run(tested);
      assertEquals(await tested.leftovers(), [], "something was left behind");
    });
  };

  testWriting(test);
  testConcurrency(test);
  testReading(test);
  testListing(test);
  testNames(test);
  testChanging(test);
  if (abilities.partialUploads) testPartialUploads(test);
  else {
    test("it keeps no partial uploads", ({ storage }) => {
      assertEquals(storage.partialUploads, undefined);
      return Promise.resolve();
    });
  }
}
