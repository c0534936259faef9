import { assertEquals } from "@std/assert";
import {
  listPage,
  nextParameters,
  partsPage,
  uploadsPage,
} from "../../../../server/storage/s3/list_answers.ts";
import { parseAnswer, type XmlAnswer } from "../../../../server/storage/s3/s3_answers.ts";

function parse(text: string, repeated?: string): XmlAnswer {
  return parseAnswer(new TextEncoder().encode(text), repeated)!;
}

const RELATIVE = (key: string) => key.slice("p/".length);

Deno.test("listPage() reads objects and common prefixes, escaped or not", () => {
  const list = (encoding: string, key: string, prefix: string, repeated?: string) =>
    listPage(
      parse(
        `<ListBucketResult>${encoding}<IsTruncated>false</IsTruncated><Contents><Key>${key}</Key>
        <LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;abc&quot;</ETag><Size>7</Size></Contents>
        <CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes></ListBucketResult>`,
        repeated,
      ),
      RELATIVE,
    );
  const modified = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const object = { key: "a b+%41", size: 7, etag: "abc", modified };
  const expected = { objects: [object], prefixes: ["ä/"], next: undefined };
  const url = "<EncodingType>url</EncodingType>";
  for (const repeated of [undefined, "Contents"]) {
    assertEquals(list("", "p/a b+%41", "p/ä/", repeated), expected);
    assertEquals(list(url, "p/a%20b%2B%2541", "p/%C3%A4/", repeated), expected);
    assertEquals(list(url, "p/a+b%2B%2541", "p/%c3%a4/", repeated), expected);
    // What is not plain text is parsed.
    assertEquals(list("", "p/a&#32;b&#x2b;%41", "p/ä/", repeated), expected);
    assertEquals(list("<!-- -->", "p/<![CDATA[a b+%41]]>", "p/ä/", repeated), expected);
    assertEquals(list("", "p/a&amp;quot;&lt;", "p/", repeated).objects[0]!.key, "a&quot;<");
  }
});

Deno.test("a list is not read where elements have been cut off", () => {
  const text = "<R><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></R>";
  const keys = listPage(parse(text, "Contents"), (key) => key).objects.map(({ key }) => key);
  assertEquals(keys, ["a", "b"]);
  for (let length = 0; length < text.length; length++) {
    const half = new TextEncoder().encode(text.slice(0, length));
    assertEquals(parseAnswer(half, "Contents"), undefined);
  }
});

Deno.test("a list goes on by the token of the store, or behind the last name", () => {
  const next = (token: string, key: string, prefix: string) => {
    const page = listPage(
      parse(
        `<R><IsTruncated>true</IsTruncated>${token}<Contents><Key>p/${key}</Key></Contents>
        <CommonPrefixes><Prefix>p/${prefix}</Prefix></CommonPrefixes></R>`,
      ),
      RELATIVE,
    );
    return nextParameters(page.next!, "p/");
  };
  const token = (text: string) => `<NextContinuationToken>${text}</NextContinuationToken>`;
  assertEquals(next(token("t/1"), "a", "b/"), { "continuation-token": "t/1" });
  // A token that is a name may have characters that XML cannot hold.
  assertEquals(next(token("p/b&#x01;/"), "a", "b/"), { "start-after": "p/b/\u{10ffff}" });
  assertEquals(next(token("p/c&#x01;"), "c", "b/"), { "start-after": "p/c" });
  assertEquals(next("", "c", "b/"), { "start-after": "p/c" });
});

Deno.test("uploadsPage() finds out whether names are escaped, where the store does not say so", () => {
  const page = (truncated: boolean, ...names: string[]) =>
    uploadsPage(
      parse(
        `<R><IsTruncated>${truncated}</IsTruncated>${
          names.map((name) =>
            `<Upload><Key>p/${name}</Key><UploadId>id of ${name}</UploadId>
            <Initiated>2026-01-02T03:04:05Z</Initiated></Upload>`
          ).join("")
        }</R>`,
      ),
      RELATIVE,
    );
  const keys = (...names: string[]) => page(false, ...names).uploads.map(({ key }) => key);
  assertEquals(keys("a%20b", "c"), ["a b", "c"]);
  assertEquals(keys("a b", "c%20"), ["a b", "c%20"]);
  assertEquals(keys("100%", "c%20"), ["100%", "c%20"]);
  assertEquals(page(false, "a").next, undefined);
  assertEquals(page(true).next, undefined);
  const next = { "key-marker": "p/a b", "upload-id-marker": "id of a%20b" };
  assertEquals(page(true, "a%20b").next, next);
});

Deno.test("partsPage() reads parts and where the next page begins", () => {
  const part = '<Part><PartNumber>3</PartNumber><ETag>"e"</ETag><Size>9</Size></Part>';
  const parts = [{ number: 3, etag: "e", size: 9 }];
  const truncated = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>3</NextPartNumberMarker>";
  assertEquals(partsPage(parse(`<R>${truncated}${part}</R>`)), { parts, next: "3" });
  assertEquals(partsPage(parse(`<R>${part}</R>`)), { parts, next: undefined });
});
