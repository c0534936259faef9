#!/bin/sh
# One would guess that a server that does not read the body of a request holds its client back: on a socket of
# `node:http` the windows of TCP fill up, and the client waits. Under `node:https`, Deno 2.9.6 goes on reading, decrypts
# and keeps whatever comes, so that one client fills the memory of the server; Node.js holds the client back. What
# pauses is the encrypted socket: the one below it, `socket._parent`, is never told.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund deno@2.9.6
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 \
  -subj /CN=localhost 2>/dev/null
cat > server.mjs <<'EOF'
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import process from "node:process";
const keys = { cert: readFileSync("cert.pem"), key: readFileSync("key.pem") };
const secure = process.argv[2] === "https";
// Nobody reads the body.
const server = secure ? https.createServer(keys, () => {}) : http.createServer(() => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
EOF
cat > client.mjs <<'EOF'
import net from "node:net";
import process from "node:process";
import tls from "node:tls";
const [, , kind, port] = process.argv;
const socket = kind === "https"
  ? tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false })
  : net.connect({ host: "127.0.0.1", port });
socket.on("error", () => {});
socket.write("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n");
const piece = new Uint8Array(65536);
let taken = 0;
const most = 256 * 1024 * 1024;
const stalled = () => { console.log(taken < most ? "held back" : "not held back"); process.exit(); };
let timer = setTimeout(stalled, 3000);
const more = () => {
  taken += piece.length;
  clearTimeout(timer);
  if (taken >= most) return stalled();
  timer = setTimeout(stalled, 3000);
  socket.write(piece, more);
};
socket.write(piece, more);
EOF
# The client is Node.js each time.
attempt() {
  kind=$1; shift
  "$@" server.mjs "$kind" >port & pid=$!
  while ! [ -s port ]; do sleep 0.1; done
  node client.mjs "$kind" "$(cat port)"
  kill "$pid"; wait "$pid" 2>/dev/null || true
  rm port
}
deno="./node_modules/.bin/deno run --quiet --no-config --allow-all"
echo "Node.js $(node --version), $(npx deno --version | head -n 1)"
{
  echo "http, Node.js: $(attempt http node)"
  echo "https, Node.js: $(attempt https node)"
  echo "http, Deno: $(attempt http $deno)"
  echo "https, Deno: $(attempt https $deno)"
} | tee out
diff - out <<'EOF'
http, Node.js: held back
https, Node.js: held back
http, Deno: held back
https, Deno: not held back
EOF
echo "Only Deno's node:https takes all that a client sends while nobody reads it."
