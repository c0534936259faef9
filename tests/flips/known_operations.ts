/**
 * Transfers of files whose content the receiver has under another name.
 *
 * @module
 */

import { ofTree, type Operation } from "./operations.ts";

const SMALL = new TextEncoder().encode("hello, flips\n");

/** The operations. */
export function knownOperations(): readonly Operation[] {
  return [
    {
      name: "compare of what the server knows under another name, and the copy",
      local: { "t/one": SMALL, "t/sub/two": "22" },
      run: (client, cwd) =>
        client.put(SMALL, { as: "known" }).then(() =>
          ofTree((events) => client.putTree(`${cwd}/t`, { as: "t", ...events }))
        ),
    },
    {
      name: "get of a directory with what is here under another name",
      root: { "t/one": SMALL, "t/two": "22" },
      local: { "t/sub/one": SMALL },
      run: (client, cwd) => ofTree((events) => client.getTree("t", { out: `${cwd}/t`, ...events })),
    },
  ];
}
