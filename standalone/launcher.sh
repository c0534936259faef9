#!/bin/sh
# {{name}} {{version}} for {{target}}: a program and the Deno that runs it in one file. The first run unpacks
# both into a directory of the user's, later ones start from there; it may be deleted at any time. That is
# the directory that FERRY_UNPACK_DIR names, else ferry in the user's cache, else one in TMPDIR (/tmp), or in /var/tmp.
# The exit status is 7 where this file is damaged, and 1 where it cannot be unpacked.

# All is in functions: where this file was cut in the middle of them, nothing runs.

ferry_place() {
  ferry_dir=
  case $1 in
  1) ferry_dir=${FERRY_UNPACK_DIR-} ;;
  2) ferry_dir=${XDG_CACHE_HOME:+$XDG_CACHE_HOME/ferry} ;;
  3) ferry_dir=${HOME:+$HOME/{{cache}}/ferry} ;;
  4) ferry_dir=${TMPDIR:-/tmp}/ferry-$(id -u) ;;
  5) ferry_dir=/var/tmp/ferry-$(id -u) ;;
  esac
  case $ferry_dir in
  '') return 1 ;;
  /*) ;;
  *) ferry_dir=$PWD/$ferry_dir ;;
  esac
}

# Whoever else could write there could have this user run anything: root too, with the HOME of another user.
ferry_is_ours() {
  [ -O "$ferry_dir" ] && [ ! -L "$ferry_dir" ]
}

ferry_is_unpacked() {
  ferry_is_ours || return 1
  [ -x "$ferry_dir/{{deno}}" ] || return 1
  for ferry_file in {{files}}; do
    [ -s "$ferry_dir/{{app}}/$ferry_file" ] || return 1
  done
}

# ferry_part OFFSET LENGTH: a part of this file, which is one in gzip's format, and so has a checksum.
ferry_part() {
  tail -c "+$(($1 + 1))" "$ferry_self" | head -c "$2"
}

ferry_is_damaged() {
  [ "$(wc -c <"$ferry_self")" -ne {{size}} ] && return
  {{checks}}
  return 1
}

# ferry_unpack_part OFFSET LENGTH FILE
ferry_unpack_part() {
  ferry_part "$1" "$2" | gzip -dc >"$ferry_new/file" && mv -f "$ferry_new/file" "$ferry_dir/$3"
}

# What is unpacked gets its name when it is whole, so that first runs at the same time do not meet. The entry
# comes last. What was killed on the way is cleared away a day later.
ferry_unpack() {
  umask 077
  mkdir -p "$ferry_dir" || return 1
  ferry_is_ours || { echo "x: it is somebody else's" >&2; return 1; }
  find "$ferry_dir" -name 'new.*' -prune -mtime +0 -exec rm -rf {} + 2>/dev/null
  ferry_new=$(mktemp -d "$ferry_dir/new.XXXXXX") || return 1
  trap 'rm -rf "$ferry_new"' EXIT
  trap 'exit 1' HUP INT TERM
  if [ ! -x "$ferry_dir/{{deno}}" ]; then
    ferry_part {{deno_part}} | gzip -dc >"$ferry_new/deno" && chmod 700 "$ferry_new/deno" || return 1
    "$ferry_new/deno" --version >/dev/null 2>&1 || { echo "x: Deno does not run from there" >&2; return 1; }
    mv -f "$ferry_new/deno" "$ferry_dir/{{deno}}" || return 1
  fi
  mkdir -p "$ferry_dir/{{app}}" && {{unpack_app}}
}

ferry_start() {
  if [ -n "${ferry_path+set}" ]; then PATH=$ferry_path; else unset PATH; fi
  # What Deno keeps, it keeps here too; it asks nobody whether there is a newer one, reads no settings, and
  # puts no "node" of its own on the PATH.
  export DENO_DIR="$ferry_dir/cache" DENO_NO_UPDATE_CHECK=1 DENO_NO_PACKAGE_JSON=1 DENO_DISABLE_NODE_SHIM=1
  exec "$ferry_dir/{{deno}}" run {{flags}} \
    "$ferry_dir/{{app}}/{{entry}}" "$@"
}

ferry_main() {
  if [ -n "${PATH+set}" ]; then ferry_path=$PATH; else unset ferry_path; fi
  PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin${PATH:+:$PATH}
  ferry_places='1'
  [ -n "${FERRY_UNPACK_DIR-}" ] || ferry_places='2 3 4 5'
  for ferry_place in $ferry_places; do
    ferry_place "$ferry_place" && ferry_is_unpacked && ferry_start "$@"
  done
  ferry_tried=
  for ferry_place in $ferry_places; do
    ferry_place "$ferry_place" || continue
    if ferry_why=$(ferry_unpack 2>&1); then
      ferry_start "$@"
    fi
    if ferry_is_damaged; then
      echo "{{name}}: This file is damaged: it is not what SHA256SUMS says" >&2
      exit 7
    fi
    ferry_tried="$ferry_tried${ferry_tried:+, }\"$ferry_dir\" (${ferry_why##*: })"
  done
  echo "{{name}}: Cannot unpack {{unpacked}}: $ferry_tried; FERRY_UNPACK_DIR can name a directory" >&2
  exit 1
}

ferry_self=$0
ferry_main "$@"
exit
