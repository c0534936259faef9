import { assertEquals } from "@std/assert";
import { S3Location, type S3LocationOptions } from "../../../../server/storage/s3/s3_location.ts";
import { assertCode } from "../../../support/assertions.ts";

function urlOf(options: Partial<S3LocationOptions>, key?: string): string {
  return new S3Location({ bucket: "bucket", ...options }).url(key);
}

Deno.test("url() has the bucket in the path, and in the host name where that is asked for", () => {
  const endpoint = "http://store.example:7480";
  assertEquals(urlOf({ endpoint }), "http://store.example:7480/bucket/");
  assertEquals(urlOf({ endpoint }, "a/b"), "http://store.example:7480/bucket/a/b");
  assertEquals(urlOf({ endpoint: `${endpoint}/s3/` }, "a"), `${endpoint}/s3/bucket/a`);
  const pathStyle = false;
  assertEquals(urlOf({ endpoint, pathStyle }, "a"), "http://bucket.store.example:7480/a");
  assertEquals(urlOf({ region: "eu-west-1" }, "a"), "https://bucket.s3.eu-west-1.amazonaws.com/a");
  assertEquals(urlOf({ pathStyle: true }), "https://s3.us-east-1.amazonaws.com/bucket/");
});

Deno.test("url() escapes what URLs and signatures treat in a way of their own", () => {
  const location = new S3Location({ bucket: "b", endpoint: "http://s", prefix: "ä/b+" });
  assertEquals(
    location.url("a +%/!'()*~?#&=\u{1f600}", { prefix: "a +*", uploads: "" }),
    "http://s/b/%C3%A4/b%2B/a%20%2B%25/%21%27%28%29%2A~%3F%23%26%3D%F0%9F%98%80" +
      "?prefix=a%20%2B%2A&uploads",
  );
  assertEquals(location.copySource("x y"), "/b/%C3%A4/b%2B/x%20y");
  assertEquals(location.relative("ä/b+/x"), "x");
  // Whatever a URL keeps of the path is what was meant.
  for (const key of ["//a//", "%2e%2e", "...", "a\\b", "tab\t", "line\n"]) {
    const { pathname } = new URL(location.url(key));
    assertEquals(decodeURIComponent(pathname), `/b/ä/b+/${key}`);
  }
});

Deno.test("a prefix has no slashes at its ends", () => {
  const { prefix } = new S3Location({ bucket: "b", prefix: "/a/b//" });
  assertEquals(prefix, "a/b/");
  assertEquals(new S3Location({ bucket: "b", prefix: "" }).prefix, "");
  assertEquals(new S3Location({ bucket: "b", prefix: "/" }).prefix, "");
});

Deno.test("what cannot be a bucket, an endpoint, a region or a prefix is refused", async () => {
  const wrong: [Partial<S3LocationOptions>, string][] = [
    [{ bucket: "" }, "no name of a bucket"],
    [{ bucket: "a/b" }, "no name of a bucket"],
    [{ bucket: ".." }, "no name of a bucket"],
    [{ bucket: "a\u0000b" }, "no name of a bucket"],
    [{ endpoint: "store.example" }, "no URL"],
    [{ endpoint: "ftp://store.example" }, "http or https address"],
    [{ endpoint: "http://store.example/?a" }, "http or https address"],
    [{ endpoint: "http://key:secret@store.example" }, "keys do not belong there"],
    [{ region: "a b" }, "no region"],
  ];
  for (const [options, words] of wrong) {
    const { message } = await assertCode("usage", () => urlOf(options), words);
    assertEquals(message.includes("secret"), false);
  }
  await assertCode("bad_name", () => urlOf({ prefix: "a/../b" }));
  for (const key of ["..", "a/./b", "nul\0", "half\ud800"]) {
    await assertCode("bad_name", () => urlOf({}, key));
  }
});
