#!/bin/sh
# One would guess that Deno.watchFs() of a path reports what happens in the directory that has it. With deno 2.9.6 it
# reports nothing, and no error, if the directory that was watched at this path was moved away, another one has its
# place, and the old watcher was closed just before the new one was made, or right after. In the same place without the
# move all is well, and also once the loop over the events of the old watcher has ended.
# A program that follows a directory which is replaced as a whole, as builds do, goes deaf: await the end of that loop.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6 >/dev/null
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat >show.mjs <<'END'
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function seen({ moved, awaited }) {
  const dir = Deno.makeTempDirSync({ dir: "." });
  for (const name of ["watched", "next"]) Deno.mkdirSync(`${dir}/${name}`);
  const read = async (watcher) => {
    let events = 0;
    for await (const _ of watcher) events++;
    return events;
  };
  const first = Deno.watchFs(`${dir}/watched`);
  const reading = read(first);
  await pause(200);
  if (moved) {
    Deno.renameSync(`${dir}/watched`, `${dir}/before`);
    Deno.renameSync(`${dir}/next`, `${dir}/watched`);
  }
  await pause(300);
  first.close();
  if (awaited) await reading;
  const second = Deno.watchFs(`${dir}/watched`);
  const events = read(second);
  await pause(300);
  Deno.writeTextFileSync(`${dir}/watched/file`, "x");
  await pause(500);
  second.close();
  return await events > 0;
}
const told = {
  "same directory": await seen({ moved: false, awaited: false }),
  "moved": await seen({ moved: true, awaited: false }),
  "moved, end awaited": await seen({ moved: true, awaited: true }),
};
for (const [what, is] of Object.entries(told)) console.log(`${what}: ${is ? "events" : "none"}`);
Deno.exit(told["same directory"] && !told.moved && told["moved, end awaited"] ? 0 : 1);
END
node_modules/.bin/deno --version | head -1
node_modules/.bin/deno run -A --quiet show.mjs
