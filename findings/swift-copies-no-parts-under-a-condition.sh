#!/bin/sh
# One would guess that a copy with x-amz-copy-source-if-match and the ETag that HEAD has just shown succeeds. With
# OpenStack Swift (s3api 2.30.1) it does for an object of one PUT, and gives 412 for one that was uploaded in parts:
# the condition is compared with another ETag than the one that is shown. Without the condition the copy succeeds.
# Starts a Swift of its own from Debian packages, unless S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY name one.
set -eu
[ -n "${S3_ENDPOINT:-}" ] ||
  exec npx --yes deno@2.9.6 run --quiet -A "$(dirname "$0")/../tests/support/engines/run.ts" swift sh "$0"
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund aws4fetch@1.0.20
cat > show.mjs <<'EOF'
import { AwsClient } from "aws4fetch";
const { S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY } = process.env;
const client = new AwsClient({
  accessKeyId: S3_ACCESS_KEY, secretAccessKey: S3_SECRET_KEY, service: "s3", region: "us-east-1",
});
const name = `finding-${Date.now()}`;
const bucket = `${S3_ENDPOINT}/${name}`;
const ask = (method, path, headers = {}, body) =>
  client.fetch(`${bucket}${path}`, { method, headers, body });
await ask("PUT", "");
await ask("PUT", "/plain", {}, "content");
const begun = await (await ask("POST", "/parts?uploads")).text();
const id = /<UploadId>(.*?)<\/UploadId>/.exec(begun)[1];
const part = await ask("PUT", `/parts?partNumber=1&uploadId=${id}`, {}, "content");
const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.get("etag")}</ETag></Part>`;
const completion = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
await (await ask("POST", `/parts?uploadId=${id}`, {}, completion)).text();
async function copy(key, conditional) {
  const etag = (await ask("HEAD", `/${key}`)).headers.get("etag");
  const { status } = await ask("PUT", "/copy", {
    "x-amz-copy-source": `/${name}/${key}`,
    ...(conditional ? { "x-amz-copy-source-if-match": etag } : {}),
  });
  console.log(`a copy of ${key}, ${etag}, ${conditional ? "if it matches" : "whatever it is"}: ${status}`);
  return status;
}
const seen = [await copy("plain", true), await copy("parts", true), await copy("parts", false)];
for (const key of ["plain", "parts", "copy"]) await ask("DELETE", `/${key}`);
await ask("DELETE", "");
process.exit(`${seen}` === "200,412,200" ? 0 : 1);
EOF
node show.mjs
