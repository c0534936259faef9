#!/bin/sh
# One would guess that monitorEventLoopDelay() of node:perf_hooks, which servers export as their event-loop delay, shows
# a function that blocks the thread for 300 ms. In Node.js 20 its `max` shows it in each run. In Deno 2.9.6 most runs end
# with a `max` of some milliseconds, or of 0, as if the thread had been idle; only now and then one is right.
# An alert on that figure stays silent while a transfer server answers nobody: time a timer of your own instead.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat >block.mjs <<'END'
import { monitorEventLoopDelay } from "node:perf_hooks";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
await pause(100);
const until = performance.now() + 300;
while (performance.now() < until);
await pause(100);
delay.disable();
console.log(Math.round(delay.max / 1e6));
END
npm install --silent --no-fund --no-audit deno@2.9.6 >/dev/null
node --version; node_modules/.bin/deno --version | head -n 1
runs=10
seen() { # COMMAND...: in how many runs the delay was at least 200 ms
  count=0; all=
  for _ in $(seq $runs); do
    max=$("$@" block.mjs); all="$all $max"
    [ "$max" -lt 200 ] || count=$((count + 1))
  done
  echo "$1: longest delays in ms:$all" >&2
  echo $count
}
node=$(seen node)
deno=$(seen node_modules/.bin/deno run --quiet)
echo "blocked for 300 ms and seen: Node.js $node of $runs, Deno $deno of $runs"
[ "$node" -eq $runs ] && [ "$deno" -lt $runs ]
