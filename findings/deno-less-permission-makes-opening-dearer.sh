#!/bin/sh
# One would guess that a server which gives up permissions that it does not need is only safer: reading and writing stay
# allowed everywhere. With deno 2.9.6 --allow-all opens a file by one system call. Once any permission is given up, each
# Deno.openSync() resolves the path first, by a readlink() for each of its directories, while statSync() does not. A program
# that stores many small files in deep directories pays for it with each one.
# apt-get install strace, if it is not there.
set -eu
command -v strace >/dev/null || apt-get install --yes --quiet strace >/dev/null
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
mkdir -p one/two/three/four/five/six
echo data >one/two/three/four/five/six/file
cat >open.mjs <<'END'
const path = `${Deno.cwd()}/one/two/three/four/five/six/file`;
if (Deno.args[0] === "less") Deno.permissions.revokeSync({ name: "ffi" });
Deno.openSync(path).close();
for (let i = 0; i < 10; i++) Deno.openSync(path).close();
for (let i = 0; i < 10; i++) Deno.statSync(path);
END
count() {
  strace -f -o trace -e trace=readlink,readlinkat node_modules/.bin/deno run -A open.mjs "$1"
  grep -c "$dir/one/two/three/four/five/six" trace || true
}
node_modules/.bin/deno --version | head -1
all=$(count all) less=$(count less)
echo "the directories above the file were looked at by readlink() $all times with all permissions, $less times without ffi"
grep -o "readlink.*$dir/one.*" trace | tail -3 | sed "s|$dir|DIR|g; s|0x[0-9a-f]*|ADDRESS|"
[ "$all" -eq 0 ] && [ "$less" -ge 20 ]
