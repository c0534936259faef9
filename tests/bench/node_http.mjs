// The servers on Node.js that ferryd's listener for HTTP is compared with. They print their port.
//
//   node node_http.mjs MODULES files DIRECTORY   serve-handler, with the files of a directory
//   node node_http.mjs MODULES tus DIRECTORY     @tus/server with its file store
//
// MODULES is the directory below which npm has installed them.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [modules, role, directory] = process.argv.slice(2);
const load = createRequire(`${modules}/`);

function listen(server) {
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

if (role === "files") {
  const handler = load("serve-handler");
  listen(createServer((request, response) => handler(request, response, { public: directory })));
} else {
  const { Server } = await import(load.resolve("@tus/server"));
  const { FileStore } = await import(load.resolve("@tus/file-store"));
  const tus = new Server({ path: "/files", datastore: new FileStore({ directory }) });
  listen(createServer((request, response) => tus.handle(request, response)));
}
