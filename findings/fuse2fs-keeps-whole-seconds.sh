#!/bin/sh
# One would guess that an ext4 image keeps times of nanoseconds however it is mounted: its inodes have room for them.
# With fuse2fs 1.47.0 (Debian 12) a time loses its fraction as it is set, and one that is in the image with its
# nanoseconds is shown without them.
# A sync by size and time (rsync -a, rclone, "newer") takes every file for changed at each run, and a copy out of such
# an image is older than its source.
set -eu
dir=$(mktemp -d); trap 'umount "$dir/at" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
need() { command -v "$1" >/dev/null || { apt-get update -qq; apt-get install -y -qq "$2" >/dev/null; }; }
need fuse2fs fuse2fs; need debugfs e2fsprogs
fuse2fs -V 2>&1 | head -n 1
mkdir at from; echo content > from/image; touch -d '2024-05-06 07:08:09 UTC' from/image
truncate -s 16M image; mke2fs -q -t ext4 -I 256 -d from image
# The extra field holds the nanoseconds above two bits of the epoch.
debugfs -w -R "set_inode_field image mtime_extra $((123456789 << 2))" image 2>/dev/null
debugfs -R 'stat image' image 2>/dev/null | grep mtime
fuse2fs -o fakeroot image at 2>/dev/null
echo content > at/set; touch -d '2024-05-06 07:08:09.987654321 UTC' at/set
image=$(stat -c %.9Y at/image); set=$(stat -c %.9Y at/set)
echo "in the image with .123456789:  $image"
echo "set to .987654321 and read back: $set"
case $image in *.000000000) ;; *) exit 1 ;; esac
case $set in *.000000000) ;; *) exit 1 ;; esac
