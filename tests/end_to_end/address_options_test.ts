/**
 * Every argument, environment variable and configuration setting of the two programs that takes an address.
 */

import { assertEquals } from "@std/assert";
import { ferry, ferryd, TempDir } from "../support/programs.ts";

/** Invalid addresses to connect to, and the resulting errors. */
const SERVERS: Readonly<Record<string, string>> = {
  "bücher.example:9900": 'the host "bücher.example" is not in ASCII: write "xn--bcher-kva.example"',
  "127.0.0.1:0": '"127.0.0.1:0" has the port 0, at which nothing can be reached',
  "99999": '"99999" is no address: write HOST:PORT',
};

/** The same for addresses to listen on, where port 0 picks a free one. */
const LISTENERS = Object.entries(SERVERS).filter(([address]) => !address.endsWith(":0"));

Deno.test("ferry says of each address to connect to what is wrong with it", async () => {
  await using dir = new TempDir();
  const runs = Object.entries(SERVERS).flatMap(([address, reason], at) => {
    const config = `${at}.toml`;
    dir.write(config, `server = ${JSON.stringify(address)}\n`);
    const commands: [args: string[], server?: string][] = [
      [["ls", "--server", address]],
      [["ping"], address],
      [["get", "x", "--config", config]],
      [["echo", "--udp", address, "x"]],
      [["echo", "--tcp", address, "x"]],
    ];
    return commands.map(async ([args, server]) => {
      const { code, stderr } = await ferry(args, { cwd: dir.path, ...(server && { server }) });
      assertEquals([code, stderr], [2, `ferry: ${reason}\n`], args.join(" "));
    });
  });
  await Promise.all(runs);
  const classic = await ferry(["exec", "--classic", "127.0.0.1:0", "x"], { cwd: dir.path });
  assertEquals([classic.code, classic.stderr], [255, `ferry: ${SERVERS["127.0.0.1:0"]}\n`]);
});

Deno.test("ferryd says of each address to listen on what is wrong with it", async () => {
  await using dir = new TempDir();
  const runs = LISTENERS.flatMap(([address, reason], at) => {
    const config = `${at}.toml`;
    dir.write(config, `listen = ${JSON.stringify(address)}\n`);
    const options = [
      ["--listen", address],
      ["--config", config],
      ["--http", address],
      ["--metrics", address],
      ["--tcp-echo", address],
      ["--udp-echo", address],
      ["--classic-exec", address, "--allow-shell"],
    ];
    return options.map(async (args) => {
      const root = dir.join(`root ${at} ${args[0]}`);
      Deno.mkdirSync(root);
      const port = args[0] === "--listen" || args[0] === "--config" ? [] : ["--listen", "0"];
      const { code, stderr } = await ferryd(["--root", root, ...port, ...args], {
        cwd: dir.path,
        runsCommands: args.includes("--allow-shell"),
      });
      assertEquals([code, stderr.split("\n").at(-2)], [2, `ferryd: ${reason}`], args.join(" "));
    });
  });
  await Promise.all(runs);
  const cert = await ferryd(["cert", "--host", "bücher.example"], { cwd: dir.path });
  assertEquals([cert.code, cert.stderr], [2, `ferryd: ${SERVERS["bücher.example:9900"]}\n`]);
});

Deno.test("ferryd does not start if it is told about HTTP, but not where to listen for it", async () => {
  await using dir = new TempDir();
  const told = [
    ["--http-url", "https://files.example.org"],
    ["--http-host", "files.example.org"],
    ["--http-origin", "https://app.example.org"],
  ];
  await Promise.all(told.map(async (args, at) => {
    const root = dir.join(`root ${at}`);
    Deno.mkdirSync(root);
    const all = ["--root", root, "--listen", "127.0.0.1:0", ...args];
    const { code, stderr } = await ferryd(all, { cwd: dir.path });
    const reason = "its URL, its names and the origins that may use it are given";
    const line = `ferryd: --http has to say where to listen for HTTP: ${reason}`;
    assertEquals([code, stderr.split("\n").at(-2)], [2, line], args.join(" "));
  }));
});
