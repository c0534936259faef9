#!/bin/sh
# One would guess that node:fs opendir() reads a directory bit by bit, which is what it is there for.
# With deno 2.9.6 all of it is read when it is opened: after the first entry everything is removed, and all names
# still come. Node.js tells about a thousand more, those that it had read.
# Walking a directory of millions takes the time and memory of all names before the first one, and what a sync
# or a cleaning job is told may be long gone: each name has to be looked at again.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > show.mjs <<'EOF'
import { mkdirSync, opendirSync, unlinkSync, writeFileSync } from "node:fs";
const files = 20_000;
mkdirSync("many");
for (let at = 0; at < files; at++) writeFileSync(`many/${at}`, "");
const opened = opendirSync("many");
let told = opened.readSync() ? 1 : 0;
for (let at = 0; at < files; at++) unlinkSync(`many/${at}`);
while (opened.readSync()) told++;
opened.closeSync();
console.log(`${globalThis.Deno ? `deno ${Deno.version.deno}` : `node ${process.versions.node}`}:`);
console.log(`  ${told} of ${files} names are told, all but the first after they were removed`);
if (globalThis.Deno) Deno.exit(told === files ? 0 : 1);
EOF
node show.mjs && rmdir many
node_modules/.bin/deno run -A show.mjs
