#!/bin/sh
# One would guess that rename() over an existing name shows every reader the old file or the new one, as POSIX has it,
# also where the call only passes through to ext4 or tmpfs below.
# With bindfs 1.14.7 (Debian 12) a reader is told for moments that there is no such file; the same names looked at
# below the mount, or through mergerfs 2.33.5, are never missing.
# Who replaces a file by a rename, so that others never see it missing (a web root, a package index, a lock), does so
# in vain below a bindfs mount.
set -eu
dir=$(mktemp -d); trap 'umount "$dir/at" 2>/dev/null || :; rm -rf "$dir"' EXIT; cd "$dir"
need() { command -v "$1" >/dev/null || { apt-get update -qq; apt-get install -y -qq "$2" >/dev/null; }; }
need bindfs bindfs; need mergerfs mergerfs; need python3 python3
cat > replace.py <<'PY'
import os, sys, threading, time
name, new = sys.argv[1] + "/name", sys.argv[1] + "/new"
open(name, "w").close()
done = threading.Event()
looks, missing = 0, 0
def look():
    global looks, missing
    while not done.is_set():
        looks += 1
        try:
            os.close(os.open(name, os.O_RDONLY))
        except FileNotFoundError:
            missing += 1
reader = threading.Thread(target=look)
reader.start()
renames, end = 0, time.monotonic() + 10
while time.monotonic() < end and missing == 0 and renames < 20000:
    open(new, "w").close()
    os.rename(new, name)
    renames += 1
done.set()
reader.join()
print("missing" if missing else "never missing")
PY
mkdir below at
bindfs --version | head -n 1; mergerfs --version 2>&1 | head -n 1
bindfs below at; bound=$(python3 replace.py at); umount at
mergerfs below at; merged=$(python3 replace.py at); umount at
direct=$(python3 replace.py below)
printf 'a name that is replaced again and again, through bindfs: %s; through mergerfs: %s; directly: %s\n' "$bound" "$merged" "$direct"
[ "$bound" = missing ] && [ "$merged" = "never missing" ] && [ "$direct" = "never missing" ]
