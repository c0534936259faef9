#!/bin/sh
# One would guess that what is written through a shared mapping gives the file a new modification time, at the latest
# with msync(), as POSIX has it.
# On Linux's tmpfs only the first store to a page does: later ones change neither mtime nor ctime, with msync() and
# without. On ext4 it is the first store after the page was written to the disk.
# Databases and virtual machines write so. rsync and whoever goes by size and time sees no change and keeps the old
# content, for as long as nothing else touches the file.
set -eu
[ "$(stat -f -c %T /dev/shm)" = tmpfs ] || { echo "/dev/shm is no tmpfs"; exit 77; }
dir=$(mktemp -d /dev/shm/finding-XXXXXX); trap 'rm -rf "$dir"' EXIT; cd "$dir"
command -v python3 > /dev/null && command -v rsync > /dev/null || apt-get install -qq -y python3 rsync > /dev/null
echo "Linux $(uname -r), $(python3 --version), $(rsync --version | head -1)"
cat > show.py <<'EOF'
import mmap, os, subprocess, sys, time
open("file", "wb").write(b"a" * 8192)
mapping = mmap.mmap(os.open("file", os.O_RDWR), 8192)
mapping[0:1] = b"b"
mapping.flush()
subprocess.run(["rsync", "--times", "file", "copy"], check=True)
def times():
    facts = os.stat("file")
    return facts.st_mtime_ns, facts.st_ctime_ns
before = times()
time.sleep(1.1)
mapping[1:5] = b"new!"
mapping.flush()  # msync(MS_SYNC)
mapping.close()
after = times()
print("mtime and ctime before:", *before)
print("and after a store and msync, 1.1 s later:", *after)
subprocess.run(["rsync", "--times", "file", "copy"], check=True)
stale = open("file", "rb").read() != open("copy", "rb").read()
print("rsync's copy is", "the old content" if stale else "the new content")
sys.exit(0 if before == after and stale else 1)
EOF
python3 show.py
