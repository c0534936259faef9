import { assertEquals } from "@std/assert";
import { PROGRAMS, PROJECT, runtimeFlags } from "../standalone/program.ts";

Deno.test("runtimeFlags() asks for what deno.json gives, and for nothing else", () => {
  const config = {
    permissions: {
      some: { net: true, run: false, read: [], env: ["FERRY_*", "HOME"], sys: ["osUptime"] },
      none: {},
    },
    unstable: ["net", "kv"],
  };
  const flags = (set: string) => runtimeFlags({ permissions: set as "client" }, config);
  const always = ["--no-prompt", "--deny-import", "--unstable-net", "--unstable-kv"];
  assertEquals(flags("none"), always);
  assertEquals(flags("missing"), always);
  assertEquals(flags("some"), [
    ...always,
    "--allow-net",
    "--allow-env=FERRY_*,HOME",
    "--allow-sys=osUptime",
  ]);
});

Deno.test("runtimeFlags() of the real programs neither let everything happen nor run anything", () => {
  for (const program of PROGRAMS) {
    const flags = runtimeFlags(program);
    assertEquals(flags.filter((flag) => /^(-A|--allow-all|--allow-ffi)/.test(flag)), []);
    assertEquals(Deno.statSync(PROJECT + program.entry).isFile, true);
  }
  assertEquals(runtimeFlags(PROGRAMS[0]!).filter((flag) => flag.startsWith("--allow-run")), []);
});
