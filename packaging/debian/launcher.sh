#!/bin/sh
# {{name}} {{version}}: a bundle, and the Deno of the package ferry that runs it.
export DENO_DIR="${DENO_DIR:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/ferry}"
export DENO_NO_UPDATE_CHECK=1 DENO_DISABLE_NODE_SHIM=1
exec /usr/lib/ferry/deno {{flags}} /usr/lib/ferry/{{name}}/{{entry}} "$@"
