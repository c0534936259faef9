#!/bin/sh
# One would guess that a key that PutObject takes can be uploaded in parts as well. With OpenStack Swift (s3api 2.30.1)
# a key with a control character is stored by PutObject, and CreateMultipartUpload answers 500 InternalError: its
# answer would contain the key, which XML cannot hold. The status says that a retry may help, which it never does.
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
  accessKeyId: S3_ACCESS_KEY, secretAccessKey: S3_SECRET_KEY, service: "s3", region: "us-east-1", retries: 0,
});
const bucket = `${S3_ENDPOINT}/finding-${Date.now()}`;
const ask = async (method, path, body) => (await client.fetch(`${bucket}${path}`, { method, body })).status;
await ask("PUT", "");
const put = await ask("PUT", "/a%01b", "content");
const begun = await ask("POST", "/a%01b?uploads");
const again = await ask("POST", "/a%01b?uploads");
await ask("DELETE", "/a%01b");
await ask("DELETE", "");
console.log(`PutObject: ${put}, CreateMultipartUpload: ${begun}, once more: ${again}`);
process.exit(put === 200 && begun === 500 && again === 500 ? 0 : 1);
EOF
node show.mjs
