#!/bin/sh
# {{name}} {{version}} for {{target}}: a program and the Deno that runs it in one file. The first run unpacks
# both, later ones start them from there. The directory is the one that FERRY_UNPACK_DIR names, else ferry in the
# user's cache, else one in TMPDIR (/tmp) or /var/tmp; it may be deleted while neither program runs.
# The exit status is 7 where this file is damaged, and 1 where it cannot be unpacked.

# Everything is in functions: if this file was truncated in the middle of one, nothing runs.

ferry_place() {
  ferry_dir=
  case $1 in
  1) ferry_dir=${FERRY_UNPACK_DIR-} ;;
  2) ferry_dir=${XDG_CACHE_HOME:+$XDG_CACHE_HOME/ferry} ;;
  3) [ -d "${HOME-}" ] && ferry_dir=$HOME/{{cache}}/ferry ;;
  4) ferry_dir=${TMPDIR:-/tmp}/ferry-$(id -u) ;;
  5) ferry_dir=/var/tmp/ferry-$(id -u) ;;
  esac
  case $ferry_dir in
  '') return 1 ;;
  /*) ;;
  *) ferry_dir=$PWD/$ferry_dir ;;
  esac
  # Root may have the HOME of another user, who could replace a cache there at any time.
  case $1 in
  2 | 3)
    ferry_above=${ferry_dir%/*}
    while [ ! -e "$ferry_above" ] && [ -n "$ferry_above" ]; do ferry_above=${ferry_above%/*}; done
    [ -O "${ferry_above:-/}" ] || return 1
    ;;
  esac
}

# Another user who can write there could make this user run anything. In a directory for everybody, that goes for
# the target of a link too.
ferry_is_ours() {
  [ -O "$ferry_dir" ] || return 1
  case $1 in
  4 | 5) [ ! -L "$ferry_dir" ] ;;
  esac
}

ferry_is_unpacked() {
  ferry_is_ours "$1" || return 1
  [ -x "$ferry_dir/{{deno}}" ] && [ -O "$ferry_dir/{{deno}}" ] || return 1
  for ferry_file in {{files}}; do
    [ -s "$ferry_dir/{{app}}/$ferry_file" ] && [ -O "$ferry_dir/{{app}}/$ferry_file" ] || return 1
  done
}

# ferry_part OFFSET+LENGTH: prints a part of this file, in the format of gzip, which includes a checksum.
ferry_part() {
  tail -c "+$((${1%+*} + 1))" "$ferry_self" | head -c "${1#*+}"
}

ferry_is_damaged() {
  [ "$(wc -c <"$ferry_self")" -ne {{size}} ] && return
  for ferry_part in {{deno_parts}} {{app_parts}}; do
    ferry_why=$(ferry_part "$ferry_part" | gzip -t 2>&1) || return 0
  done
  return 1
}

# The parts of Deno are unpacked in parallel: nothing else takes as long.
ferry_unpack_deno() {
  ferry_turn=0
  ferry_running=
  for ferry_part in {{deno_parts}}; do
    ferry_part "$ferry_part" | gzip -dc >"$ferry_new/deno.$ferry_turn" &
    ferry_running="$ferry_running $!"
    ferry_turn=$((ferry_turn + 1))
  done
  ferry_failed=
  for ferry_pid in $ferry_running; do wait "$ferry_pid" || ferry_failed=1; done
  [ -z "$ferry_failed" ] || return 1
  cat "$ferry_new"/deno.[1-9] >>"$ferry_new/deno.0" && chmod 700 "$ferry_new/deno.0" || return 1
  if ! ferry_why=$("$ferry_new/deno.0" --version 2>&1); then
    echo "x: Deno does not run there, ${ferry_why##*: }" >&2
    return 1
  fi
  mv -f "$ferry_new/deno.0" "$ferry_dir/{{deno}}"
}

# Each file gets its name when it is complete, the entry last, so that two first runs at the same time do not disturb
# each other. What a killed run has left is removed after a day; a Deno that was not started for a month, when a new
# one is unpacked.
ferry_unpack() {
  umask 077
  mkdir -p "$ferry_dir" || return 1
  ferry_is_ours "$1" || { echo "x: it is somebody else's" >&2; return 1; }
  if [ -n "$(find "$ferry_dir/." -prune \( -perm -0020 -o -perm -0002 \))" ]; then
    echo "x: others can write there" >&2
    return 1
  fi
  find "$ferry_dir/." -name 'new.*' -prune -mtime +0 -exec rm -rf {} + 2>/dev/null
  ferry_new=$(mktemp -d "$ferry_dir/new.XXXXXX") || return 1
  trap 'rm -rf "$ferry_new"' EXIT
  trap 'exit 1' HUP INT TERM
  if [ ! -x "$ferry_dir/{{deno}}" ] || [ ! -O "$ferry_dir/{{deno}}" ]; then
    ferry_unpack_deno || return 1
    find "$ferry_dir/." -name 'deno-*' -prune -atime +30 -exec rm -f {} + 2>/dev/null
  fi
  mkdir -p "$ferry_dir/{{app}}" || return 1
  set -- {{files}}
  for ferry_part in {{app_parts}}; do
    ferry_part "$ferry_part" | gzip -dc >"$ferry_new/file" || return 1
    mv -f "$ferry_new/file" "$ferry_dir/{{app}}/$1" || return 1
    shift
  done
}

ferry_start() {
  if [ -n "${ferry_path+set}" ]; then PATH=$ferry_path; else unset PATH; fi
  # Deno has its cache here too, does not look for updates, and puts no "node" of its own on the PATH.
  export DENO_DIR="$ferry_dir/cache" DENO_NO_UPDATE_CHECK=1 DENO_DISABLE_NODE_SHIM=1
  exec "$ferry_dir/{{deno}}" run {{flags}} \
    "$ferry_dir/{{app}}/{{entry}}" "$@"
}

ferry_main() {
  if [ -n "${PATH+set}" ]; then ferry_path=$PATH; else unset ferry_path; fi
  PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin${PATH:+:$PATH}
  ferry_places='1'
  [ -n "${FERRY_UNPACK_DIR-}" ] || ferry_places='2 3 4 5'
  for ferry_place in $ferry_places; do
    ferry_place "$ferry_place" && ferry_is_unpacked "$ferry_place" && ferry_start "$@"
  done
  ferry_tried=
  for ferry_place in $ferry_places; do
    ferry_place "$ferry_place" || continue
    if ferry_why=$(ferry_unpack "$ferry_place" 2>&1); then
      ferry_start "$@"
    fi
    ferry_tried="$ferry_tried${ferry_tried:+, }\"$ferry_dir\" (${ferry_why##*: })"
    if ferry_is_damaged; then
      echo "{{name}}: This file is damaged: it is not what SHA256SUMS says" >&2
      exit 7
    fi
  done
  echo "{{name}}: Cannot unpack {{unpacked}}: $ferry_tried; FERRY_UNPACK_DIR can name a directory" >&2
  exit 1
}

ferry_self=$0
ferry_main "$@"
exit
