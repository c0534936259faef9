import { planPut } from "../../lib/delta/plan.ts";
import type { FetchSignature } from "../../lib/delta/signature.ts";
import { Signer } from "../../lib/delta/signer.ts";
import { MIB } from "../support/bytes.ts";
import { ContentInMemory, received } from "../support/content.ts";
import { randomBytes } from "../support/random_file.ts";

const SIZE = 64 * MIB;
const OLD = randomBytes(SIZE, 3);
const OTHER = randomBytes(SIZE, 4);
const BLOCK = 16_384;

async function sign(rolling: boolean): Promise<Uint8Array> {
  const signer = await Signer.create({ size: SIZE, block: BLOCK, rolling });
  return signer.update(OLD);
}

/** Signatures of {@linkcode OLD} in these blocks, made before; nothing is found by finer ones. */
async function signatures(): Promise<FetchSignature> {
  const records = { plain: await sign(false), rolling: await sign(true) };
  return ({ block, rolling, ranges }) => {
    const bytes = block === BLOCK
      ? records[rolling ? "rolling" : "plain"]
      : new Uint8Array(ranges!.size / block * 8);
    return Promise.resolve({ size: SIZE, strong: 4, ...received(bytes) });
  };
}

const fetch = await signatures();

Deno.bench("delta: signature of 64 MiB", { group: "delta" }, async () => {
  await sign(false);
});

Deno.bench("delta: signature of 64 MiB, with weak hashes", { group: "delta" }, async () => {
  await sign(true);
});

Deno.bench("delta: compare 64 MiB in place", { group: "delta" }, async () => {
  await planPut(new ContentInMemory(OLD), { fetch });
});

Deno.bench("delta: search 64 MiB of which nothing is known", { group: "delta" }, async () => {
  await planPut(new ContentInMemory(OTHER), { fetch });
});
