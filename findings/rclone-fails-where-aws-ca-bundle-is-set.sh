#!/bin/sh
# One would guess that AWS_CA_BUNDLE, which makes the AWS tools trust an authority of one's own, does the same for
# rclone or nothing at all. With rclone 1.60.1 and env_auth every S3 remote fails as soon as it is set, whatever the
# file contains and also where nothing is encrypted: the AWS library wants to put the file into an HTTP transport of its
# own, and rclone has another one. rclone's own option is --ca-cert. It matters where one environment serves both.
# Starts a RGW of its own from Debian packages, unless S3_ENDPOINT, S3_ACCESS_KEY and S3_SECRET_KEY name one.
set -eu
[ -n "${S3_ENDPOINT:-}" ] ||
  exec npx --yes deno@2.9.6 run --quiet -A "$(dirname "$0")/../tests/support/engines/run.ts" ceph sh "$0"
command -v rclone >/dev/null || apt-get install -y -qq --no-install-recommends rclone >/dev/null
rclone version | head -n 1
export RCLONE_CONFIG=/dev/null AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY"
remote=":s3,provider=Ceph,env_auth=true,endpoint='$S3_ENDPOINT':"
unset AWS_CA_BUNDLE
without=0; rclone lsd "$remote" || without=$?
with=0; said=$(AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt rclone lsd "$remote" 2>&1) || with=$?
echo "without AWS_CA_BUNDLE: exit status $without; with it: $with"
echo "$said" | grep -o 'LoadCustomCABundleError.*'
[ "$without" = 0 ] && [ "$with" != 0 ]
