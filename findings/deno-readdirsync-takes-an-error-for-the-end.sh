#!/bin/sh
# One would guess that a directory whose reading breaks off with an input/output error makes Deno.readDirSync() throw.
# With deno 2.9.6 it ends early and says nothing: of 3000 names those come that were read before the error.
# Deno.readDir(), the asynchronous one, reports the error, and so does readdirSync() of Node.js.
# A disk or a network file system that fails in the middle of a directory makes a backup, a sync or an upload that
# lists it this way leave files out, and a mirror that deletes what is not listed delete them.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
command -v strace >/dev/null || { apt-get update -qq && apt-get install -y -qq strace >/dev/null; }
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund deno@2.9.6
deno=$(find node_modules -path '*@deno*' -name deno -type f | head -n 1)
[ -n "$deno" ] || deno=node_modules/.bin/deno
strace -V | head -n 1
"$deno" --version | head -n 1
echo "node $(node --version)"
mkdir many; i=0; while [ $i -lt 3000 ]; do : > "many/file-number-$i"; i=$((i + 1)); done

cat > sync.mjs <<'JS'
let names = 0;
try { for (const _ of Deno.readDirSync("many")) names++; console.log("names", names); } catch (error) { console.log("error", error.code ?? error.name); }
JS
cat > async.mjs <<'JS'
let names = 0;
try { for await (const _ of Deno.readDir("many")) names++; console.log("names", names); } catch (error) { console.log("error", error.code ?? error.name); }
JS
cat > node.mjs <<'JS'
import { readdirSync } from "node:fs";
try { console.log("names", readdirSync("many").length); } catch (error) { console.log("error", error.code); }
JS

# The second read of the directory fails, as it does where the disk does.
failing() { strace -D -f -qq -o trace -P "$dir/many" -e trace=getdents64 -e inject=getdents64:error=EIO:when=2+ "$@"; }
whole=$("$deno" run -A sync.mjs)
sync=$(failing "$deno" run -A sync.mjs)
async=$(failing "$deno" run -A async.mjs)
node=$(failing node node.mjs)
echo "whole directory, Deno.readDirSync(): $whole"
echo "failing, Deno.readDirSync(): $sync"
echo "failing, Deno.readDir():     $async"
echo "failing, Node's readdirSync(): $node"
[ "$whole" = "names 3000" ]
case $sync in "names "*) [ "$sync" != "names 3000" ] ;; *) false ;; esac
case $async in "error "*) ;; *) false ;; esac
case $node in "error "*) ;; *) false ;; esac
