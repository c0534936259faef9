#!/bin/sh
# One would guess that Deno.copyFile(), which copies inside the system, leaves the holes of a file as they are: cp does.
# With deno 2.9.6 a file of 300 MiB that takes no space becomes one that takes 300 MiB, also by node:fs.copyFile(). It is
# copy_file_range() that fills them, on file systems whose files do not share blocks, such as ext4 and tmpfs.
# A disk image or a database that was made sparse fills the disk that it is copied to.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
case $(stat -f -c %T .) in btrfs | xfs) echo "files share their blocks here"; exit 77 ;; esac
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
truncate -s 300M sparse
cp sparse by-cp
cat >copy.mjs <<'END'
import { copyFileSync } from "node:fs";
console.log(`deno ${Deno.version.deno}`);
await Deno.copyFile("sparse", "by-deno");
copyFileSync("sparse", "by-node");
END
node_modules/.bin/deno run -A copy.mjs
for each in sparse by-cp by-deno by-node; do
  echo "$each: $(stat -c %s "$each") bytes, of which $(($(stat -c %b "$each") * 512)) are on the disk"
done
[ "$(stat -c %b by-cp)" -lt 100 ] && [ "$(stat -c %b by-deno)" -ge 614400 ] && [ "$(stat -c %b by-node)" -ge 614400 ]
