import { tryEach } from "./attempts.ts";
import { knownOperations } from "./known_operations.ts";
import { proofOperations } from "./proof_operations.ts";
import { directoryOperations } from "./operations.ts";

Deno.test("a message about a directory that was damaged or lost comes to an error or to the right result", async (t) => {
  await tryEach(t, [...directoryOperations(), ...knownOperations(), ...proofOperations()]);
});
