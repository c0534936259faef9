#!/bin/sh
# One would guess that a list and HEAD show the same ETag of an object. With OpenStack Swift (s3api 2.30.1) they do not
# for a server-side copy of an object that was uploaded in parts: HEAD, and the answer to the copy, give the ETag of the
# original (`...-N`), and the list gives the MD5 of the content. So an object is not unchanged or changed because the
# ETag of a list and that of a HEAD are compared.
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
const begun = await (await ask("POST", "/original?uploads")).text();
const id = /<UploadId>(.*?)<\/UploadId>/.exec(begun)[1];
const part = await ask("PUT", `/original?partNumber=1&uploadId=${id}`, {}, "content");
const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.get("etag")}</ETag></Part>`;
const completion = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
await (await ask("POST", `/original?uploadId=${id}`, {}, completion)).text();
await (await ask("PUT", "/copy", { "x-amz-copy-source": `/${name}/original` })).text();
async function etags(key) {
  const head = (await ask("HEAD", `/${key}`)).headers.get("etag").replaceAll('"', "");
  const text = await (await ask("GET", `?list-type=2&prefix=${key}`)).text();
  const listed = /<ETag>(?:"|&quot;)?(.*?)(?:"|&quot;)?<\/ETag>/.exec(text)[1];
  console.log(`${key}: HEAD tells ${head}, the list ${listed}`);
  return head === listed;
}
const same = [await etags("original"), await etags("copy")];
for (const key of ["original", "copy"]) await ask("DELETE", `/${key}`);
await ask("DELETE", "");
process.exit(`${same}` === "true,false" ? 0 : 1);
EOF
node show.mjs
