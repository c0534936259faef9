#!/bin/sh
# One would guess that `zstd --rsyncable` does for a backup what `gzip --rsyncable` does: after a small change, little
# of the compressed file is another.
# It begins anew only every few MiB: with zstd 1.5.4 one line inserted at the front of 100 MB of text makes rdiff send
# 600 kB of the compressed file, with gzip 1.12 less than 10 kB, and zstd's file is only a third smaller.
# Whoever changed from gzip to zstd for files that rsync, rdiff or ferry send again each night sends many times as much.
set -eu
command -v rdiff >/dev/null && command -v zstd >/dev/null && command -v gzip >/dev/null ||
  apt-get install -y -qq --no-install-recommends rdiff zstd gzip >/dev/null
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
zstd --version; gzip --version | head -n 1; rdiff --version | head -n 1
# Words that follow a fixed sequence of pseudorandom numbers (Lehmer's), so that the text is the same everywhere.
awk 'BEGIN {
  for (seed = 7; size < 100000000; size += length(line) + 1) {
    line = ""
    for (i = 0; i < 12; i++) { seed = seed * 16807 % 2147483647; line = line sprintf("%x ", seed % 20000 * 7919) }
    print line
  }
}' >old
{ echo "one line more"; cat old; } >new
changed() { # NAME COMMAND...: how many bytes of a delta the compressed files need
  name=$1; shift
  for each in old new; do "$@" <$each >$each.z; done
  rdiff signature --block-size=1024 old.z signature && rdiff delta signature new.z delta
  bytes=$(stat -c %s delta)
  echo "$name: compressed to $(stat -c %s new.z) bytes, of which rdiff sends $bytes"
  rm signature delta
}
changed "gzip --rsyncable" gzip -n --rsyncable; gzip=$bytes
changed "zstd --rsyncable" zstd -q --rsyncable; zstd=$bytes
[ "$zstd" -gt $((gzip * 20)) ]
