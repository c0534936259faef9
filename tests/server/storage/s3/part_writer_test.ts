import { assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { createRuntime } from "../../../../lib/runtime/runtime.ts";
import type { Bucket } from "../../../../server/storage/s3/bucket.ts";
import { PART_BYTES } from "../../../../server/storage/s3/part_sizes.ts";
import { PartWriter } from "../../../../server/storage/s3/part_writer.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { randomBytes } from "../../../support/random_file.ts";

const BASIS = randomBytes(3 * PART_BYTES, 4);
const SOURCE = { object: { key: "basis", etag: "e", size: BASIS.length }, start: 0 };

/** How a store takes requests to copy. */
type Copies = (part: Uint8Array) => string;

/**
 * What a store is asked to do with the parts of a content that is taken from a basis, except for `literal` bytes at an
 * offset.
 */
async function partsOf(
  { literal, copies = md5, md5Etags = true, size = BASIS.length }: {
    literal?: number;
    copies?: Copies;
    md5Etags?: boolean;
    size?: number;
  },
): Promise<string[]> {
  const asked: string[] = [];
  const bucket: Pick<Bucket, "begin" | "uploadPart" | "copyPart"> = {
    begin: (key) => Promise.resolve({ key, uploadId: "1" }),
    uploadPart(_, number, bytes) {
      asked.push(`${number}: upload`);
      return Promise.resolve({ number, etag: md5(bytes), size: bytes.length });
    },
    // deno-lint-ignore require-await -- it may fail
    async copyPart(_, number, { key, etag, start, count }) {
      asked.push(`${number}: copy ${key} ${etag} ${start}+${count}`);
      return { number, etag: copies(BASIS.subarray(start, start + count)), size: count };
    },
  };
  const runtime = createRuntime({ bufferBytes: 64 * MIB });
  const options = { bucket: bucket as Bucket, runtime, key: "new", size, metadata: {}, md5Etags };
  const writer = new PartWriter(options);
  const content = BASIS.slice(0, size);
  if (literal !== undefined) content[literal]! ^= 1;
  for (let at = 0; at < size; at += MIB) {
    const bytes = content.slice(at, at + MIB);
    const isLiteral = literal !== undefined && literal >= at && literal < at + MIB;
    await writer.write(bytes, isLiteral ? undefined : { ...SOURCE, start: at });
  }
  const whole = await writer.finish();
  if (!("parts" in whole)) throw new Error("there are no parts");
  for (const { number, etag, size } of whole.parts) {
    const start = (number - 1) * PART_BYTES;
    assertEquals(etag, md5(content.subarray(start, start + size)), `part ${number}`);
  }
  writer.free();
  return asked;
}

const COPY = (number: number, count = PART_BYTES) =>
  `${number}: copy basis e ${(number - 1) * PART_BYTES}+${count}`;

Deno.test("PartWriter lets the store copy parts that are in another object as a whole", async () => {
  assertEquals(await partsOf({}), [COPY(1), COPY(2), COPY(3)]);
  assertEquals(await partsOf({ literal: PART_BYTES }), [COPY(1), "2: upload", COPY(3)]);
  assertEquals(await partsOf({ literal: 2 * PART_BYTES - 1 }), [COPY(1), "2: upload", COPY(3)]);
  assertEquals(await partsOf({ literal: 0 }), ["1: upload", COPY(2), COPY(3)]);
  assertEquals(await partsOf({ size: PART_BYTES + 5 }), [COPY(1), COPY(2, 5)]);
});

Deno.test("PartWriter uploads what the store does not copy, or copies wrongly", async () => {
  const copies: Record<string, Copies> = {
    "other bytes": (part) => md5(part.subarray(1)),
    "without a checksum": () => "a-1",
    "not at all": () => {
      throw new FerryError("io", "it copies no ranges");
    },
  };
  for (const [how, copy] of Object.entries(copies)) {
    const asked = await partsOf({ copies: copy });
    assertEquals(asked.filter((each) => each.endsWith("upload")).length, 3, how);
  }
  assertEquals(await partsOf({ md5Etags: false }), ["1: upload", "2: upload", "3: upload"]);
});
