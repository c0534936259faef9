import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { type BucketOptions, bucketRoot } from "../../../server/cli/bucket_root.ts";

const DEFAULTS: BucketOptions = {
  root: "s3://files",
  "s3-endpoint": "https://s3.example.org",
  "s3-path-style": false,
  durability: "full",
  "allow-exec": [],
  "allow-shell": false,
};

/** The message with which options are refused. */
function refusal(options: Partial<BucketOptions>): string {
  const error = assertThrows(() => bucketRoot({ ...DEFAULTS, ...options }), FerryError);
  assertEquals(error.code, "usage");
  return error.message;
}

Deno.test("bucketRoot() takes s3://BUCKET/PREFIX, whose prefix is literal", () => {
  const cases: [root: string, bucket: string, prefix: string][] = [
    ["s3://files", "files", ""],
    ["s3://files/", "files", ""],
    ["S3://files/a", "files", "a"],
    ["s3://my.Files_2/a/b/", "my.Files_2", "a/b"],
    ["s3://files/a b/ü%20?x#y", "files", "a b/ü%20?x#y"],
    ["s3://files/me@home", "files", "me@home"],
  ];
  for (const [root, bucket, prefix] of cases) {
    const found = bucketRoot({ ...DEFAULTS, root });
    assertEquals([found?.bucket, found?.prefix], [bucket, prefix], root);
  }
});

Deno.test("bucketRoot() hands on where the object store is", () => {
  assertEquals(
    bucketRoot({ ...DEFAULTS, "s3-region": "eu-central-1", "s3-path-style": true }),
    {
      bucket: "files",
      prefix: "",
      endpoint: "https://s3.example.org",
      region: "eu-central-1",
      pathStyle: true,
    },
  );
  assertEquals(bucketRoot(DEFAULTS)?.pathStyle, undefined);
});

Deno.test("bucketRoot() leaves directories alone", () => {
  for (const root of [".", "/srv/files", "s3", "./s3://files", "s3:/files", "me@home"]) {
    const { "s3-endpoint": _, ...rest } = DEFAULTS;
    assertEquals(bucketRoot({ ...rest, root, quota: 1, durability: "none" }), undefined);
  }
});

Deno.test("bucketRoot() refuses what is no bucket or no prefix, and a missing endpoint", () => {
  for (const root of ["s3://", "s3:///a"]) {
    assertMatch(refusal({ root }), /^--root takes s3:\/\/BUCKET\/PREFIX, and .* names no bucket$/);
  }
  for (const prefix of ["/a", "a//b", "a//", "./a", "a/../b", "a\nb", "\ud800"]) {
    assertMatch(refusal({ root: `s3://files/${prefix}` }), /is no prefix of names$/);
  }
  assertMatch(refusal({ root: "s3://files/a/.ferry" }), /another root/);
  assertMatch(refusal({ root: `s3://files/${"ü".repeat(257)}` }), /may have 512 bytes/);
  assertMatch(refusal({ "s3-endpoint": undefined }), /^s3:\/\/files needs --s3-endpoint URL/);
});

Deno.test("bucketRoot() refuses credentials in URLs, and does not repeat them", () => {
  for (const secrets of ["AKIAX:XYZQUX@", "AKIAX:XYZ/QUX@", "XYZQUX@", ":XYZQUX@"]) {
    for (
      const [option, url] of [
        ["root", `s3://${secrets}files/a`],
        ["s3-endpoint", `https://${secrets}s3.example.org`],
        ["s3-endpoint", `${secrets}s3.example.org`],
      ] as const
    ) {
      const message = refusal({ [option]: url });
      assert(!/XYZ|QUX|AKIAX/.test(message), message);
      assertMatch(message, new RegExp(`^--${option} contains credentials`));
    }
  }
});

Deno.test("bucketRoot() refuses options that belong to a directory, and those that need a bucket", () => {
  assertMatch(refusal({ quota: 1 }), /^--quota cannot be kept on a bucket: .* for itself/);
  assertMatch(refusal({ durability: "none" }), /^--durability none is for a directory/);
  assertMatch(refusal({ "allow-exec": ["du"] }), /^--allow-exec needs a --root that is a dir/);
  assertMatch(refusal({ "allow-shell": true }), /^--allow-shell needs a --root that is a dir/);
  const { "s3-endpoint": endpoint, ...rest } = DEFAULTS;
  for (
    const options of [{ "s3-endpoint": endpoint }, { "s3-region": "r" }, { "s3-path-style": true }]
  ) {
    const error = assertThrows(() => bucketRoot({ ...rest, ...options, root: "dir" }), FerryError);
    const [name] = Object.keys(options);
    assertEquals(error.message, `--${name} belongs to a bucket, and "dir" is a directory`);
  }
});
