#!/bin/sh
# One would guess that CephFS, which calls itself coherent, shows on one machine what another one has written and
# flushed to the cluster. With ceph-fuse 16.2.15 a file that one client holds open and overwrites in place keeps its
# old bytes for readers on another client that have read it once, however often they open it anew, though stat shows
# the new modification time at once and O_DIRECT reads the new bytes: the kernel's page cache is not told.
# A heartbeat in a file looks dead to whoever compares its bytes, and a second server takes over from a living one.
set -eu
command -v ceph-fuse >/dev/null && command -v ceph-mds >/dev/null && command -v ceph-osd >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ceph-mon ceph-osd ceph-mds ceph-fuse ceph-common python3 >/dev/null
}
dir=$(mktemp -d); cd "$dir"; pids=
finish() {
  for mount in a b; do umount "$dir/$mount" 2>/dev/null || true; done
  sleep 1
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap finish EXIT
mkdir mon osd mds a b
port=${PORT:-17790}
conf=$dir/ceph.conf
cat >"$conf" <<C
[global]
fsid = 11111111-2222-3333-4444-555555555555
mon initial members = a
mon host = [v2:127.0.0.1:$port/0]
keyring = $dir/keyring
public addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = $((port + 1))
ms bind port max = $((port + 9))
run dir = $dir
admin socket =
log file = $dir/\$name.log
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd pool default pg autoscale mode = off
[mon]
mon data = $dir/mon
[osd]
osd data = $dir/osd
osd objectstore = memstore
[mds]
mds data = $dir/mds
C
quiet() { "$@" >>"$dir/made.log" 2>&1 || { tail -n 5 "$dir/made.log" >&2; exit 2; }; }
for entity in mon. client.admin osd.0 mds.a; do
  quiet ceph-authtool keyring $([ -e keyring ] || echo --create-keyring) --gen-key -n $entity \
    --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *'
done
quiet monmaptool --create --fsid 11111111-2222-3333-4444-555555555555 --addv a "[v2:127.0.0.1:$port]" map
quiet ceph-mon -c "$conf" -i a --mkfs --keyring keyring --monmap map
ceph-mon -c "$conf" -i a -f >mon.out 2>&1 & pids="$pids $!"
ceph() { timeout 60 ceph -c "$conf" "$@"; }
uuid=$(cat /proc/sys/kernel/random/uuid)
quiet ceph osd new "$uuid" 0
quiet ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$uuid"
ceph-osd -c "$conf" -i 0 -f >osd.out 2>&1 & pids="$pids $!"
for pool in meta data; do quiet ceph osd pool create $pool 4; done
quiet ceph fs new fs meta data
quiet ceph auth import -i keyring
ceph-mds -c "$conf" -i a -f >mds.out 2>&1 & pids="$pids $!"
tries=0
until ceph mds stat 2>/dev/null | grep -q up:active; do
  tries=$((tries + 1)); [ $tries -lt 150 ] || { echo "no metadata server"; exit 2; }
  sleep 0.2
done
for mount in a b; do quiet ceph-fuse -c "$conf" -n client.admin "$dir/$mount"; done
ceph-fuse --version 2>/dev/null | cut -d' ' -f1-3
uname -r

cat >beats.py <<'PY'
import os, time
held = os.open("a/file", os.O_RDWR | os.O_CREAT)
def beat(text):
    os.pwrite(held, text.encode(), 0)
    os.fsync(held)
def read(flags=0):
    file = os.open("b/file", os.O_RDONLY | flags)
    try:
        import mmap
        page = mmap.mmap(-1, 4096)
        return page[:os.readv(file, [page])].decode()
    finally:
        os.close(file)
beat("beat 1")
print("read on the other client:", read())
before = os.stat("b/file").st_mtime_ns
beat("beat 2")
time.sleep(5)
print("5 s after the next one was flushed:", read())
print("its time is new:", os.stat("b/file").st_mtime_ns != before)
print("with O_DIRECT:", read(os.O_DIRECT))
os.close(held)
PY
python3 beats.py | tee said
grep -q 'flushed: beat 1$' said
grep -q 'with O_DIRECT: beat 2$' said
