/**
 * Requests for proof of what is stored.
 *
 * @module
 */

import type { FerryError } from "../../lib/core/errors.ts";
import type { Operation } from "./operations.ts";

/** The operations. */
export function proofOperations(): readonly Operation[] {
  return [
    {
      name: "verify",
      root: { "t/one": "hello, flips\n" },
      // What the server records of a file that has just changed is not believed for a second.
      isSettled: (result) => result.includes('"intact"'),
      async run(client) {
        const seen: unknown[] = [];
        const failed: FerryError[] = [];
        await client.verify([{ filename: "t/one" }, { filename: "t/none" }], {
          onVerified: (file) => seen.push(file),
          onError(filename, error) {
            if (filename === "t/none" && error.code === "not_found") seen.push(filename);
            else failed.push(error);
          },
        });
        for (const error of failed) throw error;
        return seen;
      },
    },
    {
      name: "receipt",
      root: { "t/one": "hello, flips\n" },
      async run(client) {
        const seen: unknown[] = [];
        const failed: FerryError[] = [];
        await client.confirm([{ filename: "t/one", size: 13, checksum: null }], {
          onReceipt: ({ filename, size, digests }) => seen.push({ filename, size, digests }),
          onError: (_, error) => failed.push(error),
        });
        for (const error of failed) throw error;
        return seen;
      },
    },
  ];
}
