import { assertEquals } from "@std/assert";
import {
  attributesOf,
  fileEntry,
  knownChecksum,
  metadataOf,
} from "../../../../server/storage/s3/object_attributes.ts";
import type { FileName } from "../../../../lib/core/remote_name.ts";
import { md5 } from "../../../support/bytes.ts";
import fc from "../../../support/properties.ts";

const SHA256 = `sha256:${"a".repeat(64)}`;
const XXH128 = `xxh128:${"b".repeat(32)}`;

Deno.test("attributesOf() reads what metadataOf() makes", () => {
  const checksums = [md5("x"), SHA256, XXH128];
  fc.assert(
    fc.property(
      fc.option(fc.integer({ min: -8.64e15, max: 8.64e15 }), { nil: undefined }),
      fc.option(fc.integer({ min: 0, max: 0o777 }), { nil: undefined }),
      fc.subarray(checksums),
      (mtime, mode, checksums) => {
        const attributes = { mtime, mode, checksums };
        assertEquals(attributesOf(metadataOf(attributes)), attributes);
      },
    ),
  );
});

Deno.test("metadataOf() makes what every store keeps", () => {
  const metadata = metadataOf({ mtime: -1, mode: 0o777, checksums: [md5("x"), SHA256, XXH128] });
  for (const [name, value] of Object.entries(metadata)) {
    assertEquals(/^[a-z0-9-]+$/.test(name), true, name);
    assertEquals(/^[\x20-\x7e]{1,256}$/.test(value), true, value);
  }
});

Deno.test("attributesOf() ignores what makes no sense", () => {
  const nothing = { mtime: undefined, mode: undefined, checksums: [] };
  for (const value of ["", "x", "1e3", "0x10", "9".repeat(30), "-", "é", "null"]) {
    const metadata = {
      "ferry-mtime": value,
      "ferry-mode": value === "1e3" ? "0o7" : value,
      "ferry-md5": value,
      "ferry-sha256": md5("x"),
      "mtime": value,
    };
    assertEquals(attributesOf(metadata), nothing, value);
  }
  assertEquals(attributesOf({ "ferry-mode": "7777" }), nothing);
});

Deno.test("attributesOf() takes the time that rclone and s3fs keep, in seconds", () => {
  assertEquals(attributesOf({ mtime: "1234567890.123456789" }).mtime, 1_234_567_890_123);
  assertEquals(attributesOf({ mtime: "1234567890", "ferry-mtime": "5" }).mtime, 5);
});

Deno.test("knownChecksum() takes a simple ETag for an MD5 only where the store means that", () => {
  const etag = md5("content");
  const yes = { md5Etags: true };
  assertEquals(knownChecksum({ etag }, "md5", yes), etag);
  assertEquals(knownChecksum({ etag }, "md5", { md5Etags: false }), null);
  assertEquals(knownChecksum({ etag }, "sha256", yes), null);
  assertEquals(knownChecksum({ etag: `${etag}-2` }, "md5", yes), null);
  const metadata = metadataOf({ checksums: [md5("kept"), SHA256] });
  assertEquals(knownChecksum({ etag, metadata }, "md5", yes), md5("kept"));
  assertEquals(knownChecksum({ etag, metadata }, "sha256", yes), SHA256);
});

Deno.test("fileEntry() of an object of another program has the time of the store", () => {
  const head = { key: "a", size: 3, etag: "x-2", modified: 5000, now: 6000, metadata: {} };
  assertEquals(fileEntry("a" as FileName, head, "md5", { md5Etags: true }), {
    filename: "a",
    type: "file",
    size: 3,
    mtime: 5000,
    mode: 0o644,
    checksum: null,
  });
});
