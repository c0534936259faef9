import { assertEquals } from "@std/assert";
import { getHeader, putHeader } from "../../../client/net/file_requests.ts";

const MD5 = "900150983cd24fb0d6963f7d28e17f72";
const XXH128 = "06b05ab6733a618578af5f94892f3950";

Deno.test("putHeader() has what is known of a file, and nothing else", () => {
  const file = { filename: "d/f", algorithm: "md5", overwrite: "never" } as const;
  assertEquals(putHeader({ ...file, checksum: null, size: null }), {
    op: "put",
    filename: "d/f",
    overwrite: "never",
    md5: null,
  });
  const known = { ...file, checksum: MD5, size: 0, mtime: 0, mode: 0, offset: 0 };
  assertEquals(putHeader(known), {
    op: "put",
    filename: "d/f",
    overwrite: "never",
    md5: MD5,
    size: 0,
    mtime: 0,
    mode: 0,
  });
  assertEquals(putHeader({ ...known, offset: 7 }).offset, 7);
});

Deno.test("putHeader() names an algorithm that is not md5 under another key", () => {
  const file = { filename: "f", algorithm: "xxh128", overwrite: "always", size: 3 } as const;
  const header = { op: "put", filename: "f", overwrite: "always", size: 3 };
  assertEquals(putHeader({ ...file, checksum: null }), { ...header, checksum: "xxh128" });
  const checksum = `xxh128:${XXH128}`;
  assertEquals(putHeader({ ...file, checksum }), { ...header, checksum });
});

Deno.test("getHeader() asks for a file, for a range of it, or for the rest", () => {
  const file = { filename: "f", algorithm: "md5" } as const;
  const header = { op: "get", filename: "f", md5: null };
  assertEquals(getHeader(file), header);
  assertEquals(getHeader({ ...file, range: { start: 3 } }), { ...header, start: 3 });
  assertEquals(getHeader({ ...file, range: { start: 0, count: 5 } }), {
    ...header,
    start: 0,
    count: 5,
  });
  const prefix = { size: 4, whole: null, md5: MD5, xxh128: XXH128 };
  // One proof is enough: the md5 where it is known.
  assertEquals(getHeader({ ...file, prefix }), { ...header, offset: 4, prefix_md5: MD5 });
  assertEquals(getHeader({ ...file, prefix: { ...prefix, md5: null, whole: MD5 } }), {
    ...header,
    offset: 4,
    if_md5: MD5,
    prefix_xxh128: XXH128,
  });
});

Deno.test("getHeader() gives the checksum of the whole file in the algorithm that was asked for", () => {
  const whole = `xxh128:${XXH128}`;
  const prefix = { size: 4, whole, md5: MD5, xxh128: null };
  assertEquals(getHeader({ filename: "f", algorithm: "xxh128", prefix }), {
    op: "get",
    filename: "f",
    checksum: "xxh128",
    offset: 4,
    if_checksum: whole,
    prefix_md5: MD5,
  });
});
