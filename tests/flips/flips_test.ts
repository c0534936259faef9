import { tryEach } from "./attempts.ts";
import { fileOperations } from "./operations.ts";

Deno.test("a message that was damaged or lost comes to an error or to the right result", async (t) => {
  await using stack = new AsyncDisposableStack();
  await tryEach(t, await fileOperations(stack));
});
