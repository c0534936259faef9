#!/bin/sh
# One would guess that node:zlib refuses a compressed stream that was cut off, as it does with gzip.
# With deno 2.9.6 a cut brotli or zstd stream is taken for whole: the synchronous functions and the streams give
# what they have and end without an error. Node.js fails with Z_BUF_ERROR; so does Deno for gzip.
# An archive or a response that was cut on its way is unpacked short, and nobody is told: who moves compressed
# files needs a length or a checksum beside them.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > show.mjs <<'EOF'
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
// Half a million bytes that do not compress well, in several blocks of each format.
let state = 1;
const data = Buffer.from(Uint8Array.from({ length: 500_000 }, () => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return state >>> 26;
}));
const formats = {
  gzip: [zlib.gzipSync, zlib.gunzipSync, zlib.createGunzip],
  brotli: [zlib.brotliCompressSync, zlib.brotliDecompressSync, zlib.createBrotliDecompress],
  zstd: [zlib.zstdCompressSync, zlib.zstdDecompressSync, zlib.createZstdDecompress],
};
const expected = { gzip: false, brotli: true, zstd: true };
console.log(`deno ${Deno.version.deno}`);
let asSeen = true;
for (const [format, [compress, decompress, create]] of Object.entries(formats)) {
  const whole = compress(data);
  const cut = whole.subarray(0, whole.length * 0.7);
  const [sync, stream] = await Promise.all([
    (async () => `${(await decompress(cut)).length} bytes, no error`)().catch(({ code }) => code),
    (async () => {
      let size = 0;
      const count = (piece, _encoding, done) => done(void (size += piece.length));
      await pipeline(Readable.from([cut]), create(), new Writable({ write: count }));
      return `${size} bytes, no error`;
    })().catch(({ code }) => code),
  ]);
  console.log(`${format}, ${cut.length} of ${whole.length} bytes (${data.length} before):`);
  console.log(`  at once: ${sync}; as a stream: ${stream}`);
  for (const result of [sync, stream]) {
    if (String(result).includes("no error") !== expected[format]) asSeen = false;
  }
}
Deno.exit(asSeen ? 0 : 1);
EOF
node_modules/.bin/deno run -A show.mjs
