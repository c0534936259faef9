#!/bin/sh
# One would guess that rename() changes names only, however large the file is, and that a program which asks for no flush
# pays for none. On ext4 with its defaults (auto_da_alloc) a rename that replaces a file first gives the new one its blocks
# and begins to write them, and takes a time that grows with its size; under a name that is free it takes none.
# Programs that write to a temporary name and rename, as rsync, editors and download tools do, wait there for each file
# that they replace. Seen with Linux 6.x and filefrag 1.47, which tells extents without blocks ("delalloc").
set -eu
dir=$(mktemp -d -p "${TMPDIR:-/var/tmp}"); trap 'rm -rf "$dir"' EXIT; cd "$dir"
[ "$(findmnt -n -o FSTYPE -T .)" = ext4 ] || { echo "this is no ext4"; exit 77; }
echo "Linux $(uname -r | cut -d. -f1-2), $(filefrag -V 2>&1 | head -1)"
unwritten() { filefrag -v "$1" | grep -c delalloc || true; }
make() { dd if=/dev/urandom of=new bs=1M count=128 status=none; }
timed() { start=$(date +%s%N); "$@"; echo "$((($(date +%s%N) - start) / 1000000)) ms"; }
echo old >taken
make
before=$(unwritten new)
echo "onto a free name: $(timed mv new free)"
free=$(unwritten free)
make
echo "onto a name that is taken: $(timed mv -f new taken)"
taken=$(unwritten taken)
echo "extents without blocks: before $before, under the free name $free, under the taken name $taken"
[ "$before" -gt 0 ] && [ "$free" -gt 0 ] && [ "$taken" -eq 0 ]
