#!/bin/sh
# One would guess that a program that may read and write every path can use the files in /dev/shm, the usual place for
# bytes that are to stay in memory.
# With deno 2.9.6 it takes every permission there is, those to run programs and to load libraries, too: to deny or to
# give up any single one closes all of /dev, while the query of permissions goes on saying "granted".
# A transfer tool that asks for no more than it needs can neither serve nor fill a directory there.
set -eu
dir=$(mktemp -d); file=; trap 'rm -rf "$dir" "$file"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1 DENO_NO_PROMPT=1
file=$(mktemp /dev/shm/XXXXXX); echo content > "$file"
cat > show.mjs <<'JS'
const [path, given] = Deno.args;
if (given) Deno.permissions.revokeSync({ name: given });
let outcome = "it is read";
try { Deno.readTextFileSync(path); } catch (error) { outcome = error.name; }
console.log(`${outcome}, the permission to read it is ${Deno.permissions.querySync({ name: "read", path }).state}`);
JS
try() { # EXPECTED ARGUMENT...
  expected=$1; shift
  said=$(node_modules/.bin/deno run "$@")
  echo "$*: $said"
  [ "$said" = "$expected, the permission to read it is granted" ]
}
node_modules/.bin/deno --version | head -n 1
try "it is read" -A show.mjs "$file"
try NotCapable -A --deny-ffi show.mjs "$file"
try NotCapable -A show.mjs "$file" ffi
try NotCapable --allow-read --allow-write show.mjs "$file"
