#!/bin/sh
# One would guess that a library for zip archives that knows zip64 uses it wherever an archive needs it. client-zip 2.5.1
# does so for large files and large archives, but not for many entries: of more than 65,535, the record at the end says
# 0xFFFF, which means "see the zip64 record", and there is none. Info-ZIP's unzip calls the archive damaged; Python
# reads it. What is missing are two records of 76 bytes together in front of the last 22.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund client-zip@2.5.1
cat > make.mjs <<'EOF'
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { makeZip } from "client-zip";
const [, , path, count] = process.argv;
function* entries() {
  for (let i = 0; i < Number(count); i++) yield { name: `d${i}/`, lastModified: new Date(1e12) };
}
const file = createWriteStream(path);
for await (const chunk of makeZip(entries())) file.write(chunk);
file.end();
await finished(file);
EOF
echo "client-zip $(node -p 'require("./package-lock.json").packages["node_modules/client-zip"].version'), node $(node --version)"
unzip -v | head -n 1
for count in 65535 65536; do
  node make.mjs "$count.zip" "$count"
  status=0
  unzip -l "$count.zip" >"$count.out" 2>&1 || status=$?
  entries=$(python3 -c 'import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).infolist()))' "$count.zip")
  echo "$count entries: unzip ends with $status, Python finds $entries"
  [ "$entries" = "$count" ]
  case $count in 65535) [ "$status" -eq 0 ] ;; *) [ "$status" -ne 0 ] ;; esac
done
