#!/bin/sh
# One would guess that fsync() of a directory either makes its names durable or fails, as with ext4 and with NFS.
# With bindfs 1.14.7 and mergerfs 2.33.5 (Debian 12) it succeeds and reaches nothing: the program behind the mount
# passes on the flush of the file, and makes no call for that of the directory.
# A file that was written, flushed and renamed with every call checked may have no name after a power loss, and
# nothing that a transfer tool can ask tells it so: it has to know such file systems by their names.
set -eu
dir=$(mktemp -d); trap 'umount "$dir/at" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
need() { command -v "$1" >/dev/null || { apt-get update -qq; apt-get install -y -qq "$2" >/dev/null; }; }
need bindfs bindfs; need mergerfs mergerfs; need strace strace; need python3 python3
cat > flush.py <<'PY'
import os
file = os.open("at/file", os.O_CREAT | os.O_WRONLY)
os.write(file, b"content")
os.fsync(file)
directory = os.open("at", os.O_RDONLY)
os.fsync(directory)
print("  fsync() of a file and of its directory: both succeeded")
PY
mkdir below at
count() { # COMMAND...: mounts below/ on at/, flushes there, and counts the flushes that the command makes
  rm -f below/file
  strace -f -o trace -e trace=fsync,fdatasync,syncfs,sync "$@" & traced=$!
  until mountpoint -q at; do kill -0 $traced; sleep 0.1; done
  python3 flush.py
  umount at; wait $traced || :
  passed=$(grep -cE '(fsync|fdatasync|syncfs|sync)\(' trace || :)
  echo "  flushes that the mount's program made: $passed"
  [ "$passed" -eq 1 ]
}
bindfs --version | head -n 1
count bindfs -f below at
mergerfs --version 2>&1 | head -n 1
count mergerfs -f below at
