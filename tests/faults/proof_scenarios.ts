/**
 * Scenarios of proof of what is stored: files that are read again, and receipts.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { hexOf } from "../../lib/core/checksum.ts";
import type { FerryError, SignedReceipt, Verified } from "../../mod.ts";
import { DIGESTS } from "../support/digests.ts";
import { md5 } from "../support/bytes.ts";
import type { Scenario } from "./scenarios.ts";

const SMALL = new TextEncoder().encode("what is proved\n");
/** It is read in two steps. */
const MIDDLE = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 37) >>> 3);

const ALWAYS = { overwrite: "always" } as const;

/** Runs requests for many files; throws the first error that is told of one of them. */
async function proved<Proof>(
  ask: (told: (proof: Proof) => void, failed: (name: string, error: FerryError) => void) => Promise<
    void
  >,
): Promise<Proof[]> {
  const proofs: Proof[] = [];
  const errors: FerryError[] = [];
  await ask((proof) => proofs.push(proof), (_name, error) => errors.push(error));
  for (const error of errors) throw error;
  return proofs;
}

/** The scenarios. */
export const PROOF_SCENARIOS: readonly Scenario[] = [
  {
    name: "files that are read again",
    files: { "verified/one": SMALL, "verified/two": MIDDLE },
    async run({ connect }) {
      await using client = await connect();
      await client.put(SMALL, { as: "verified/one", ...ALWAYS });
      await client.put(MIDDLE, { as: "verified/two", ...ALWAYS });
      // The second algorithm is another one than that of the record, so that two digests are computed.
      const files = [
        { filename: "verified/one" },
        { filename: "verified/two", algorithm: "sha256" },
      ] as const;
      const verified = await proved<Verified>((onVerified, onError) =>
        client.verify(files, { onVerified, onError })
      );
      assertEquals(
        verified.map(({ filename, size, checksum }) => ({ filename, size, checksum })),
        [
          { filename: "verified/one", size: SMALL.length, checksum: md5(SMALL) },
          {
            filename: "verified/two",
            size: MIDDLE.length,
            checksum: await DIGESTS.checksumOf("sha256", MIDDLE),
          },
        ],
      );
      assertEquals(verified.some(({ verdict }) => verdict === "damaged"), false);
    },
  },
  {
    name: "receipts",
    files: { "confirmed/one": SMALL, "confirmed/two": MIDDLE },
    async run({ connect }) {
      await using client = await connect();
      await client.put(SMALL, { as: "confirmed/one", ...ALWAYS });
      await client.put(MIDDLE, { as: "confirmed/two", ...ALWAYS });
      // The second file has to be read for a checksum of an algorithm that its upload had not.
      const sha256 = await DIGESTS.checksumOf("sha256", MIDDLE);
      const files = [
        { filename: "confirmed/one", size: SMALL.length, checksum: null },
        { filename: "confirmed/two", size: MIDDLE.length, checksum: sha256 },
      ];
      const receipts = await proved<SignedReceipt>((onReceipt, onError) =>
        client.confirm(files, { onReceipt, onError })
      );
      assertEquals(
        receipts.map(({ filename, size, digests }) => ({ filename, size, digests })),
        [
          { filename: "confirmed/one", size: SMALL.length, digests: { md5: md5(SMALL) } },
          {
            filename: "confirmed/two",
            size: MIDDLE.length,
            digests: { sha256: hexOf(sha256) },
          },
        ],
      );
    },
  },
];
