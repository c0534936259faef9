#!/bin/sh
# One would guess that device and inode number stand for one file as long as it exists, also on a network mount.
# With sshfs 3.7.3 (Debian 12) an inode number is a counter of the names that were asked for since the mount: after the
# next mount, looked at in another order, another file has the device, the number, the size and the time of the first.
# A cache of checksums or a backup's list of files that goes by these (restic and rsync-like tools do) then gives the
# one file the content of the other, without reading either.
set -eu
dir=$(mktemp -d); trap 'umount "$dir/at" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
server=/usr/lib/openssh/sftp-server
command -v sshfs >/dev/null && [ -x "$server" ] || { apt-get update -qq; apt-get install -y -qq sshfs openssh-sftp-server >/dev/null; }
# SFTP by standard streams: no network and no keys.
printf '#!/bin/sh\nexec %s\n' "$server" > ssh; chmod +x ssh
mkdir below at
echo one > below/a; echo two > below/b; touch -d '2024-05-06 07:08:09 UTC' below/a below/b
look() { # NAME...: mounts anew and looks at the names in that order
  sshfs -o ssh_command="$dir/ssh" any:"$dir/below" at
  for name; do echo "$name: $(stat -c 'device %d inode %i size %s mtime %Y' "at/$name")"; done
  umount at
}
sshfs -V | grep SSHFS
first=$(look a b); second=$(look b a)
printf 'first mount\n%s\nsecond mount\n%s\n' "$first" "$second"
a=$(echo "$first" | sed -n "s/^a: device [0-9]* //p"); b=$(echo "$second" | sed -n "s/^b: device [0-9]* //p")
[ "$a" = "$b" ] && echo "what was a is b now, and nothing that stat tells differs"
