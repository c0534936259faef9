import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { type Attestation, AttestedContent } from "../../../server/files/attested_content.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB } from "../../support/bytes.ts";
import { Content } from "../../support/file_client.ts";

const NAMES = { "md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512" } as const;

/** The attestation of a text. */
function attest(algorithm: keyof typeof NAMES, text: string): Attestation {
  const digest = new Uint8Array(createHash(NAMES[algorithm]).update(text).digest());
  return { algorithm, digest };
}

/** Reads content to its end. */
async function readAll(content: AttestedContent): Promise<void> {
  const into = new Uint8Array(3);
  while (await content.read(into) > 0);
}

Deno.test("content is verified by each digest that its sender gives beside the checksum", async () => {
  const right = Object.keys(NAMES).map((name) => attest(name as keyof typeof NAMES, "hello"));
  await readAll(new AttestedContent(new Content("hello"), { attestations: right }));
  for (const algorithm of ["sha", "sha-256", "sha-512"] as const) {
    const attestations = [attest("md5", "hello"), attest(algorithm, "other")];
    const content = new AttestedContent(new Content("hello"), { attestations });
    await assertCode("checksum_mismatch", () => readAll(content));
  }
  // The first MD5 is the checksum that whoever receives the content compares; a second one is compared here.
  const two = new AttestedContent(new Content("hello"), {
    attestations: [attest("md5", "hello"), attest("md5", "other")],
  });
  assertEquals(two.checksum, md5("hello"));
  await assertCode("checksum_mismatch", () => readAll(two));
});

Deno.test("large content that is attested by SHA-256 alone is stored with that, unless an MD5 is needed", () => {
  const sha256 = attest("sha-256", "hello");
  const cases: [size: number, attestations: Attestation[], needsMd5: boolean, algorithm: string][] =
    [
      [64 * MIB + 1, [sha256], false, "sha256"],
      [64 * MIB, [sha256], false, "md5"],
      [64 * MIB + 1, [sha256], true, "md5"],
      [64 * MIB + 1, [sha256, attest("md5", "hello")], false, "md5"],
      [64 * MIB + 1, [], false, "md5"],
    ];
  for (const [size, attestations, needsMd5, algorithm] of cases) {
    const bytes = { size, read: () => Promise.resolve(0) };
    const content = new AttestedContent(bytes, { attestations, needsMd5 });
    assertEquals(content.algorithm, algorithm, `${size} ${attestations.length} ${needsMd5}`);
    assertEquals(content.unattested, content.checksum === null);
  }
});
