#!/bin/sh
# One would guess that a request of node:http fails when the server resets its connection in the middle of the body.
# With deno 2.9.6 it does on a new connection. On one that has carried a request before, a body that is written piece by
# piece, waiting for "drain", gets neither that nor an error: the request waits for ever. So do uploads by tus-js-client
# in a Deno program, which write like this. Node.js 20 reports ECONNRESET both times.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > cut.mjs <<'JS'
import { createServer } from "node:net";
import { request } from "node:http";
const [, , which] = process.argv;
const server = createServer((socket) => {
  let received = 0;
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    if (bytes.toString("latin1").startsWith("GET")) {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    } else if ((received += bytes.length) > 100000) socket.destroy();
  });
});
const options = () => ({ host: "127.0.0.1", port: server.address().port, ...which === "new" ? { agent: false } : {} });
function say(what) {
  console.log(`${which} connection: ${what}`);
  process.exit(what === "nothing for 3 s" ? 2 : 0);
}
function put() {
  const sent = request({ ...options(), method: "PUT", headers: { "content-length": 300000 } });
  sent.on("error", ({ code, message }) => say(code ?? message));
  setTimeout(say, 3000, "nothing for 3 s");
  const body = Buffer.alloc(300000);
  let at = 0;
  const write = () => {
    while (at < body.length) {
      if (!sent.write(body.subarray(at, at += 16384))) return sent.once("drain", write);
    }
    sent.end();
  };
  write();
}
server.listen(0, "127.0.0.1", () => {
  request(options(), (response) => response.resume().on("end", () => setTimeout(put, 50))).end();
});
JS
node_modules/.bin/deno --version | head -n 1
fresh=0; node_modules/.bin/deno run -A cut.mjs new || fresh=$?
reused=0; node_modules/.bin/deno run -A cut.mjs reused || reused=$?
node --version
node cut.mjs reused
[ $fresh -eq 0 ] && [ $reused -eq 2 ]
