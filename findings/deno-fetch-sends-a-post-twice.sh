#!/bin/sh
# One would guess that fetch sends a POST once, and fails if the connection is cut before the answer.
# With deno 2.9.6 it sends the request again by itself where the connection had been used before, and says nothing
# of that: a server that had carried out the first one carries out two. Over a new connection it sends it once.
# A conditional request (If-None-Match: *) is then refused because of its own success. A client without pooled
# connections (Deno.createHttpClient with poolMaxIdlePerHost: 0) sends each request once.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund deno@2.9.6
export DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1
cat > show.mjs <<'EOF'
// Answers GET. Receives POST as a whole, and closes the connection then.
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
let posts = 0;
async function serve(conn) {
  const piece = new Uint8Array(65536);
  for (let count; (count = await conn.read(piece)) !== null;) {
    if (!new TextDecoder().decode(piece.subarray(0, count)).startsWith("GET")) {
      posts++;
      break;
    }
    await conn.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  }
  conn.close();
}
(async () => {
  for await (const conn of listener) serve(conn);
})();
const url = `http://127.0.0.1:${listener.addr.port}/`;

async function received(what, client) {
  posts = 0;
  const options = client ? { client } : {};
  const outcome = await fetch(url, { method: "POST", body: "once", ...options })
    .then(() => "answered", () => "failed");
  console.log(`${what}: fetch ${outcome}, the server received ${posts} times`);
  return posts;
}

console.log(`deno ${Deno.version.deno}`);
const fresh = await received("over a new connection");
await (await fetch(url)).text();
const used = await received("over a connection that was used before");
await (await fetch(url)).text();
using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
const alone = await received("by a client without a pool", client);
Deno.exit(fresh === 1 && used === 2 && alone === 1 ? 0 : 1);
EOF
node_modules/.bin/deno run -A show.mjs
