#!/bin/sh
# One would guess that two spellings of a name that lead to one file on a file system without upper and lower case also
# have one inode number, by which tools see that source and target are the same file.
# With exfat-fuse 1.3.0 (Debian 12) each spelling has a number of its own: cp, which refuses to copy a file onto itself,
# sees two files, empties the target, which is the source, and ends without an error.
# Who copies, moves or deduplicates there has to compare names as the file system does: numbers show nothing.
set -eu
dir=$(mktemp -d); loop=; trap 'umount "$dir/at" 2>/dev/null || :; [ -z "$loop" ] || losetup -d "$loop"; rm -rf "$dir"' EXIT; cd "$dir"
command -v mount.exfat-fuse >/dev/null && command -v mkfs.exfat >/dev/null || { apt-get update -qq; apt-get install -y -qq exfat-fuse exfatprogs >/dev/null; }
mkdir at; truncate -s 8M image; mkfs.exfat image >/dev/null
loop=$(losetup -f --show image)
mount.exfat-fuse "$loop" at
echo content > at/README
before=$(stat -c '%n: inode %i size %s' at/README at/Readme)
copied=0; cp at/README at/Readme || copied=$?
after=$(stat -c '%n: inode %i size %s' at/README at/Readme)
printf '%s\ncp README Readme: exit status %s\n%s\n' "$before" $copied "$after"
echo "listed: $(ls at)"
[ "$(stat -c %i at/README)" != "$(stat -c %i at/Readme)" ] && [ "$(ls at)" = README ]
[ $copied -eq 0 ] && [ "$(stat -c %s at/README)" -eq 0 ]
