#!/bin/sh
# One would guess that a time that a file system cannot store is refused or changed as it is set, so that reading it
# back tells what was kept.
# With exfat-fuse 1.3.0 (Debian 12) stat gives back any time as long as the mount lasts; after the next one 1969 and
# 1979 are the first second of 1980, and 2110 is 1982.
# A copy that checks the times it has set (cp -p, rsync -t) finds them right, and the next sync by size and time sends
# those files again, or takes old ones for newer than their sources.
set -eu
dir=$(mktemp -d); loop=; trap 'umount "$dir/at" 2>/dev/null || :; [ -z "$loop" ] || losetup -d "$loop"; rm -rf "$dir"' EXIT; cd "$dir"
command -v mount.exfat-fuse >/dev/null && command -v mkfs.exfat >/dev/null || { apt-get update -qq; apt-get install -y -qq exfat-fuse exfatprogs >/dev/null; }
mkdir at; truncate -s 8M image; mkfs.exfat image >/dev/null
loop=$(losetup -f --show image)
mount.exfat-fuse "$loop" at
for year in 1969 1979 2024 2110; do : > at/$year; touch -d "$year-05-06 07:08:10 UTC" at/$year; done
show() { for year in 1969 1979 2024 2110; do TZ=UTC stat -c '%n %y' at/$year; done; }
before=$(show); umount at; mount.exfat-fuse "$loop" at >/dev/null 2>&1; after=$(show)
printf 'as they were set\n%s\nafter the next mount\n%s\n' "$before" "$after"
case $after in *"at/1969 1980-01-01"*"at/1979 1980-01-01"*"at/2024 2024-05-06"*"at/2110 1982-"*) ;; *) exit 1 ;; esac
case $before in *"at/1969 1969-"*"at/1979 1979-"*"at/2024 2024-"*"at/2110 2110-"*) ;; *) exit 1 ;; esac
