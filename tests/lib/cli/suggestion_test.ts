import { assertEquals } from "@std/assert";
import { didYouMean } from "../../../lib/cli/suggestion.ts";

Deno.test("didYouMean() names what is close to a word, and nothing else", () => {
  const commands = ["put", "get", "ls", "mkdir", "completions"];
  const table: Record<string, string> = {
    "gett": "get",
    "pet": "put",
    "GET": "get",
    "lss": "ls",
    "l": "ls",
    "mkdri": "mkdir",
    "completion": "completions",
    "kompletionss": "completions",
  };
  for (const [word, meant] of Object.entries(table)) {
    assertEquals(didYouMean(word, commands), `. Did you mean "${meant}"?`, word);
  }
  for (const word of ["fly", "", "rsync", "getput", "xxxxxxxxxxx"]) {
    assertEquals(didYouMean(word, commands), "", word);
  }
  assertEquals(didYouMean("get", []), "");
});
