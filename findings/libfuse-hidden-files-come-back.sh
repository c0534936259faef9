#!/bin/sh
# One would guess that the .fuse_hidden file that stands for a removed file that is still open is removed like any other.
# With bindfs 1.14.7 and libfuse 3.14.0 (Debian 12) removing it only gives it the next such name, so rm -r fails with
# "Directory not empty"; but it can be renamed into another directory, and vanishes from there at its last close.
# A server or a sync that deletes trees that others read meanwhile has to move such files away, or leaves directories.
set -eu
dir=$(mktemp -d); trap 'exec 3<&-; umount "$dir/at" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
command -v bindfs >/dev/null || { apt-get update -qq; apt-get install -y -qq bindfs >/dev/null; }
mkdir below at; bindfs --version | head -n 1; bindfs below at
mkdir at/tree at/aside; echo content > at/tree/file
exec 3< at/tree/file
rm at/tree/file; first=$(ls -A at/tree)
rm "at/tree/$first"; second=$(ls -A at/tree)
echo "removed while it is open: $first; that removed: $second"
status=0; rm -r at/tree 2>&1 || status=$?
mv at/tree/.fuse_hidden* at/aside/file; rmdir at/tree && echo "moved away: the directory can be removed"
echo "still readable: $(cat <&3)"
exec 3<&-
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(ls -A at/aside)" ] && break; sleep 0.2; done
echo "left of it once it is closed: \"$(ls -A at/aside)\""
case $first-$second in .fuse_hidden*-.fuse_hidden*) ;; *) exit 1 ;; esac
[ "$first" != "$second" ] && [ $status -ne 0 ] && [ ! -e at/tree ] && [ -z "$(ls -A at/aside)" ]
