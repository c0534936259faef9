#!/bin/sh
# One would guess that Deno tells the time of an inode's last change as finely as the modification time.
# With deno 2.9.6 ctime has whole seconds, in Deno.stat() and in node:fs, where even ctimeNs of a bigint stat is
# a whole second, while mtime has milliseconds and the file system has nanoseconds.
# ctime is what cannot be set back: a content that is replaced within a second, with size and mtime as before, has
# the very same stat, so a cache of checksums, a backup or a sync that goes by it keeps the old content.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > show.mjs <<'EOF'
import { statSync, utimesSync, writeFileSync } from "node:fs";
const facts = () => {
  const { size, ino, mtimeNs, ctimeNs } = statSync("f", { bigint: true });
  const { ctime } = Deno.statSync("f");
  return `size ${size} inode ${ino} mtimeNs ${mtimeNs} ctimeNs ${ctimeNs} Deno's ctime ${ctime.toISOString()}`;
};
console.log(`deno ${Deno.version.deno}`);
let same = 0;
for (let turn = 0; turn < 5; turn++) {
  writeFileSync("f", "old");
  const { mtime } = statSync("f");
  utimesSync("f", mtime, mtime);
  const before = facts();
  writeFileSync("f", "new");
  utimesSync("f", mtime, mtime);
  const after = facts();
  if (turn === 0) console.log(`old: ${before}\nnew: ${after}`);
  if (before === after) same++;
}
console.log(`another content and the same facts: ${same} of 5 times`);
let whole = 0;
for (let turn = 0; turn < 20; turn++) {
  writeFileSync("f", String(turn));
  if (statSync("f", { bigint: true }).ctimeNs % 1_000_000_000n === 0n) whole++;
}
console.log(`ctimeNs is a whole second: ${whole} of 20 times`);
Deno.exit(same > 0 && whole === 20 ? 0 : 1);
EOF
node_modules/.bin/deno run -A show.mjs
echo "the file system itself: $(stat -c %z f)"
