/**
 * What libraries would cost in the place of own code: `ipaddr.js` for the source of a datagram, `citty` and `commander`
 * for the start of a program that prints its help text or parses some options.
 */

import ipaddr from "ipaddr.js";
import { sourceOf } from "../../lib/core/source_address.ts";
import { bundle, ENTRY } from "../../packaging/bundle.ts";
import { DENO } from "../support/programs.ts";

/** As {@linkcode sourceOf}. */
function sourceByLibrary(hostname: string): string {
  const address = ipaddr.process(hostname);
  if (address.kind() === "ipv4") return address.toString();
  const { parts } = address as ipaddr.IPv6;
  return `${parts.slice(0, 4).map((part) => part.toString(16)).join(":")}::/64`;
}

const ADDRESSES = {
  "IPv4": "192.0.2.17",
  "IPv6": "2001:db8:1:2:3:4:5:6",
  "IPv6, shortened": "2001:db8::1",
  "IPv4 in IPv6": "::ffff:192.0.2.17",
};

for (const [group, address] of Object.entries(ADDRESSES)) {
  if (sourceOf(address) !== sourceByLibrary(address)) throw new Error(`${address} has two sources`);
  Deno.bench({ name: `${group}: ferry`, group, baseline: true }, () => void sourceOf(address));
  Deno.bench({ name: `${group}: ipaddr.js`, group }, () => void sourceByLibrary(address));
}

const COMMAND_LINES = {
  "help": ["--help"],
  "options": ["-R", "--server", "127.0.0.1:9900", "a"],
};

const bundles = Deno.makeTempDirSync({ prefix: "ferry-bench-" });
addEventListener("unload", () => Deno.removeSync(bundles, { recursive: true }));

for (const parser of ["own", "citty", "commander"]) {
  Deno.mkdirSync(`${bundles}/${parser}`);
  await bundle(
    new URL(`command_lines/${parser}.ts`, import.meta.url).pathname,
    `${bundles}/${parser}`,
  );
}

for (const [group, args] of Object.entries(COMMAND_LINES)) {
  for (const parser of ["own", "citty", "commander"]) {
    Deno.bench({
      name: `start, ${group}: ${parser}`,
      group: `start, ${group}`,
      baseline: parser === "own",
    }, async () => {
      const { success, stderr } = await new Deno.Command(DENO, {
        args: [
          "run",
          "--quiet",
          "--no-config",
          "--allow-env",
          `${bundles}/${parser}/${ENTRY}`,
          ...args,
        ],
        env: { DENO_NO_UPDATE_CHECK: "1" },
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
    });
  }
}
