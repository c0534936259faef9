#!/bin/sh
# One would guess that a write that was awaited, a sync and a close that all succeed leave the bytes in the file, or that
# one of them fails, as it does for the synchronous calls.
# With deno 2.9.6 each awaited write() goes through a duplicate of the descriptor, whose close is where sshfs 3.7.3
# reports that the server had no room; nobody looks at that, and the descriptor's own close has nothing left to say.
# A copy onto a full sshfs mount ends without an error, short: only looking at the file again shows it.
set -eu
dir=$(mktemp -d); trap 'umount "$dir/at" 2>/dev/null || :; umount "$dir/below" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
server=/usr/lib/openssh/sftp-server
command -v sshfs >/dev/null && [ -x "$server" ] || { apt-get update -qq; apt-get install -y -qq sshfs openssh-sftp-server >/dev/null; }
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
printf '#!/bin/sh\nexec %s\n' "$server" > ssh; chmod +x ssh
mkdir below at
mount -t tmpfs -o size=256k tmpfs below
sshfs -o ssh_command="$dir/ssh" any:"$dir/below" at
cat > write.mjs <<'JS'
const [way] = Deno.args;
const chunk = new Uint8Array(65536).fill(1);
let said = "no error";
try {
  const file = Deno.openSync("at/" + way, { write: true, createNew: true });
  for (let at = 0; at < 16; at++) way === "awaited" ? await file.write(chunk) : file.writeSync(chunk);
  way === "awaited" ? await file.sync() : file.syncSync();
  file.close();
} catch (error) {
  said = error.message;
}
console.log(`${way}: 1048576 bytes written, ${Deno.statSync("below/" + way).size} there, ${said}`);
Deno.exit(said === "no error" ? 0 : 1);
JS
sshfs -V | grep SSHFS
node_modules/.bin/deno --version | head -n 1
awaited=0; node_modules/.bin/deno run -A write.mjs awaited || awaited=1
rm -f below/*
synchronous=0; node_modules/.bin/deno run -A write.mjs synchronous || synchronous=1
[ $awaited -eq 0 ] && [ $synchronous -eq 1 ]
