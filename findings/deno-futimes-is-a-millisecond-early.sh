#!/bin/sh
# One would guess that a modification time in whole milliseconds is read back as it was set.
# With deno 2.9.6, node:fs futimes(), by the open file, is a millisecond early for about half of all times (.001 s is
# stored as .000999927); utimes() and Deno.utime(), by the path, and Node.js are exact.
# Who keeps times by the descriptor, to be sure of the file, makes copies that differ from their originals: each
# sync by size and time copies half of the files anew.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > show.mjs <<'EOF'
import { futimesSync, openSync, statSync, utimesSync, writeFileSync } from "node:fs";
writeFileSync("f", "");
const descriptor = openSync("f", "r+");
const ways = {
  "futimes()": (time) => futimesSync(descriptor, time, time),
  "utimes()": (time) => utimesSync("f", time, time),
  "Deno.utime()": (time) => Deno.utimeSync("f", time, time),
};
console.log(`deno ${Deno.version.deno}`);
const off = {};
for (const [way, set] of Object.entries(ways)) {
  off[way] = 0;
  let example = "";
  for (let ms = 0; ms < 1000; ms++) {
    const time = new Date(1_700_000_000_000 + ms);
    set(time);
    const { mtime } = statSync("f");
    if (mtime.getTime() === time.getTime()) continue;
    off[way]++;
    example ||= `, such as ${mtime.toISOString()} for ${time.toISOString()}`;
  }
  console.log(`${way}: ${off[way]} of 1000 times are not what was set${example}`);
}
Deno.exit(off["futimes()"] > 100 && off["utimes()"] === 0 && off["Deno.utime()"] === 0 ? 0 : 1);
EOF
node_modules/.bin/deno run -A show.mjs
