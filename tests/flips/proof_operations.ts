/**
 * Requests for proof of what is stored.
 *
 * @module
 */

import type { Operation } from "./operations.ts";

/** The operations. */
export function proofOperations(): readonly Operation[] {
  return [
    {
      name: "verify",
      root: { "t/one": "hello, flips\n" },
      async run(client) {
        const seen: unknown[] = [];
        await client.verify([{ filename: "t/one" }, { filename: "t/none" }], {
          onVerified: (file) => seen.push(file),
          onError: (filename, { code }) => seen.push([filename, code]),
        });
        return seen;
      },
    },
    {
      name: "receipt",
      root: { "t/one": "hello, flips\n" },
      async run(client) {
        const seen: unknown[] = [];
        await client.confirm([{ filename: "t/one", size: 13, checksum: null }], {
          onReceipt: ({ filename, size, digests }) => seen.push({ filename, size, digests }),
          onError: (filename, { code }) => seen.push([filename, code]),
        });
        return seen;
      },
    },
  ];
}
