import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { type Retry, retrying } from "../../../client/net/retry.ts";

const action = "try";

/** Fails so often with a reason that may pass, then gives `done`. */
function failing(times: number, code: "busy" | "exists" = "busy") {
  let left = times;
  return () =>
    left-- > 0 ? Promise.reject(new FerryError(code, "not now")) : Promise.resolve("done");
}

Deno.test("retrying() repeats what may pass, says so, and waits longer each time", async () => {
  const seen: Retry[] = [];
  const onRetry = (retry: Retry) => void seen.push(retry);
  assertEquals(await retrying({ action, run: failing(2) }, { retries: 2, onRetry }), "done");
  assertEquals(seen.map(({ attempt, retries }) => [attempt, retries]), [[1, 2], [2, 2]]);
  assertEquals(seen[0]?.error.message, "Cannot try: not now");
  const [first, second] = seen.map(({ delay }) => delay);
  assert(first! >= 250 && first! <= 500 && second! >= 500 && second! <= 1000);
});

Deno.test("retrying() gives up after so many repetitions", async () => {
  const error = await assertRejects(
    () => retrying({ action, run: failing(2) }, { retries: 1 }),
    FerryError,
  );
  assertEquals(error.code, "busy");
});

Deno.test("retrying() does not count a try that came further", async () => {
  let came = 0;
  const run = failing(3);
  const result = await retrying({
    action,
    run: () => (came += 1, run()),
    furthest: () => came,
  }, { retries: 1 });
  assertEquals([result, came], ["done", 4]);
});

Deno.test("retrying() does not repeat what cannot pass, nor what must not be done twice", async () => {
  const policy = { retries: 9 };
  const cannot = () => retrying({ action, run: failing(1, "exists") }, policy);
  assertEquals((await assertRejects(cannot, FerryError)).code, "exists");
  const mustNot = () => retrying({ action, run: failing(1), repeatable: () => false }, policy);
  assertEquals((await assertRejects(mustNot, FerryError)).code, "busy");
});

Deno.test("retrying() is given up while it waits", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const error = await assertRejects(
    () =>
      retrying({ action, run: failing(9), signal: controller.signal }, {
        retries: 9,
        onRetry: () => controller.abort(reason),
      }),
    Error,
  );
  assertEquals(error, reason);
});
