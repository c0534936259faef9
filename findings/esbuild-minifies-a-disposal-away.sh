#!/bin/sh
# One would guess that a minifier changes the size of a program and nothing else. esbuild 0.25.5 puts what a variable
# is initialized with in the place of its only use, also where the variable is declared with `using`: the declaration
# is gone then, and so is the disposal at the end of the block (esbuild 0.28.2 keeps it). `deno bundle --minify` of
# Deno 2.9.6 runs that version: what a program uses once, a lock or an open file, is never released in the release.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund esbuild@0.25.5 deno@2.9.6
cat > source.mjs <<'EOF'
const open = (name) => ({
  use() { console.log("used", name); },
  [Symbol.dispose]() { console.log("closed", name); },
});
function once() { using file = open("a"); file.use(); }
function twice() { using file = open("b"); file.use(); file.use(); }
once();
twice();
EOF
echo "esbuild $(npx esbuild --version), $(npx deno --version | head -n 1)"
npx esbuild source.mjs --bundle --format=esm --target=esnext --log-level=error >plain.mjs
npx esbuild source.mjs --bundle --format=esm --target=esnext --minify-syntax --log-level=error >small.mjs
npx deno bundle --quiet --minify --output bundled.mjs source.mjs
for file in source plain small bundled; do
  npx deno run --quiet --no-config "$file.mjs" >"$file.out"
  echo "$file: $(paste -s -d, "$file.out")"
done
right="used a,closed a,used b,used b,closed b"
wrong="used a,used b,used b,closed b"
[ "$(paste -s -d, source.out)" = "$right" ]
[ "$(paste -s -d, plain.out)" = "$right" ]
[ "$(paste -s -d, small.out)" = "$wrong" ]
[ "$(paste -s -d, bundled.out)" = "$wrong" ]
echo "The minified programs never close \"a\"."
