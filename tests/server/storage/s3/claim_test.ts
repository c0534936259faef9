import { assert, assertEquals } from "@std/assert";
import {
  claimBytes,
  claimMetadata,
  isClaim,
  mayReplaceClaim,
  maySeemClaim,
  STALE_CLAIM_MS,
} from "../../../../server/storage/s3/claim.ts";
import { md5 } from "../../../support/bytes.ts";

Deno.test("isClaim() recognizes a claim, and one that replaces another, by size and MD5", () => {
  const first = claimBytes();
  const second = claimBytes({ replaced: md5(first) });
  assert(md5(first) !== md5(second));
  assertEquals(claimBytes({ replaced: md5(second) }), first);
  for (const bytes of [first, second]) {
    assert(isClaim({ size: bytes.length, etag: md5(bytes) }));
    assert(maySeemClaim(bytes.length));
    assert(!isClaim({ size: bytes.length, etag: `${md5(bytes)}-1` }));
    assert(!isClaim({ size: bytes.length - 1, etag: md5(bytes) }));
  }
});

Deno.test("mayReplaceClaim() gives way to the holder of a claim until it is stale", () => {
  const claim = { key: "a", size: 1, etag: "", modified: 1000, now: 1000 + STALE_CLAIM_MS };
  const held = { ...claim, metadata: claimMetadata("one") };
  assert(mayReplaceClaim(held, "one"));
  assert(!mayReplaceClaim(held, "two"));
  assert(mayReplaceClaim({ ...held, now: held.now + 1 }, "two"));
  assert(mayReplaceClaim({ ...claim, metadata: claimMetadata() }, "two"));
});
