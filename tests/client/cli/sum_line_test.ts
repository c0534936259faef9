import { assert, assertEquals } from "@std/assert";
import { md5sumLine } from "../../../client/cli/sum_line.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

const MD5 = "0123456789abcdef0123456789abcdef";

Deno.test("md5sumLine() writes what md5sum writes", () => {
  assertEquals(md5sumLine(MD5, "a.bin"), `${MD5}  a.bin`);
  assertEquals(md5sumLine(MD5, "a b  c"), `${MD5}  a b  c`);
  assertEquals(md5sumLine(MD5, "中文😀"), `${MD5}  中文😀`);
  assertEquals(md5sumLine(MD5, "a\\b"), `\\${MD5}  a\\\\b`);
  assertEquals(md5sumLine(MD5, "a\nb"), `\\${MD5}  a\\nb`);
  assertEquals(md5sumLine(MD5, "a\rb"), `\\${MD5}  a\\rb`);
  assertEquals(md5sumLine(MD5, "\\n\n"), `\\${MD5}  \\\\n\\n`);
});

Deno.test("md5sumLine() is one line from which the name can be read again", () => {
  const name = fc.array(fc.constantFrom("\\", "\n", "\r", "n", "r", " ", "a", "中"), {
    minLength: 1,
  });
  fc.assert(fc.property(name, (letters) => {
    const name = letters.join("");
    const line = md5sumLine(MD5, name);
    assert(!/[\r\n]/.test(line), "more than a line");
    const escaped = line.startsWith("\\");
    const shown = line.slice((escaped ? 1 : 0) + MD5.length + 2);
    const read = escaped
      ? shown.replace(/\\(.)/g, (_, c) => ({ n: "\n", r: "\r" } as Record<string, string>)[c] ?? c)
      : shown;
    assertEquals(read, name);
  }));
});

Deno.test({
  name: "md5sumLine() is believed by md5sum --check" +
    (Deno.build.os === "linux" ? "" : " (ignored: needs GNU coreutils)"),
  ignore: Deno.build.os !== "linux",
  fn() {
    const directory = Deno.makeTempDirSync();
    try {
      const empty = "d41d8cd98f00b204e9800998ecf8427e";
      const names = ["plain", "a b", "back\\slash", "new\nline", "re\rturn", "\\n", "中文"];
      for (const name of names) Deno.writeTextFileSync(`${directory}/${name}`, "");
      Deno.writeTextFileSync(
        `${directory}/sums`,
        names.map((name) => `${md5sumLine(empty, name)}\n`).join(""),
      );
      const { success, stderr } = new Deno.Command("md5sum", {
        args: ["--check", "--strict", "--status", "sums"],
        cwd: directory,
      }).outputSync();
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});
