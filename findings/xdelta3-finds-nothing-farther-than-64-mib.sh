#!/bin/sh
# One would guess that a delta between two files, both at hand, is small where the new one is the old one rearranged.
# xdelta3 3.0.11 looks at 64 MiB of the old file at a time, around where it is in the new one: a file of 150 MB whose
# halves were swapped has a delta of 150 MB, more than the file, and nothing says why. `-B` with the size of the old
# file finds it all, and takes that much memory. `zstd --patch-from` and rdiff find it without being told.
# It matters for images and archives in which files move, for which deltas are made once and sent many times.
set -eu
command -v xdelta3 >/dev/null && command -v zstd >/dev/null ||
  apt-get install -y -qq --no-install-recommends xdelta3 zstd >/dev/null
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
xdelta3 -V 2>&1 | head -n 1; zstd --version
head -c 75000000 /dev/urandom >first
head -c 75000000 /dev/urandom >second
cat first second >old
cat second first >new
xdelta3 -e -s old new plain
xdelta3 -e -B 150000000 -s old new large
zstd -q --patch-from=old new -o patch 2>/dev/null
echo "xdelta3: $(stat -c %s plain) bytes; with -B: $(stat -c %s large); zstd --patch-from: $(stat -c %s patch)"
xdelta3 -d -B 150000000 -s old large again && cmp new again
[ "$(stat -c %s plain)" -gt 150000000 ] && [ "$(stat -c %s large)" -lt 100000 ]
