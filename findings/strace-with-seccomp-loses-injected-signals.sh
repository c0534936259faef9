#!/bin/sh
# One would guess that `strace --seccomp-bpf`, which only makes tracing faster, injects the same faults as without it.
# With strace 6.1 (Debian 12) an injected error arrives, an injected signal does not: the program goes on to its end,
# strace reports success, and nothing in its log says so. With an error and a signal only the error arrives.
# Who kills a transfer at a certain rename or flush, to prove that nothing is lost, then proves nothing: each run
# "survives" because nothing was killed.
set -eu
command -v strace >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends strace >/dev/null; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
strace --version | head -n 1
calls=rename,renameat,renameat2
moved() { # FAULT [OPTION...]: how mv ends that meets the fault in its first rename
  fault=$1; shift
  rm -f old new; : >old
  { strace -f "$@" -e trace=$calls -e inject=$calls:"$fault":when=1 -o log mv old new; } >/dev/null 2>&1 && status=0 || status=$?
  echo "status $status, $([ -e new ] && echo moved || echo not moved)"
}
for fault in error=EIO signal=SIGTERM error=EINTR:signal=SIGTERM; do
  plain=$(moved $fault 2>/dev/null); fast=$(moved $fault --seccomp-bpf 2>/dev/null)
  echo "$fault: $plain; with --seccomp-bpf: $fast"
  case $fault in
    error=EIO) [ "$plain" = "status 1, not moved" ] && [ "$fast" = "$plain" ] ;;
    signal=SIGTERM) [ "$plain" = "status 143, moved" ] && [ "$fast" = "status 0, moved" ] ;;
    *) [ "$plain" = "status 143, not moved" ] && [ "$fast" = "status 1, not moved" ] ;;
  esac || exit 1
done
