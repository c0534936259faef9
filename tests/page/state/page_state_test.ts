/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { PageState } from "../../../page/state/page_state.ts";

/** What a page has around it: a server that answers as it is told, and the history of the browser. */
class Around implements Disposable {
  /** Each request: `GET /`. */
  readonly requests: string[] = [];
  readonly #before = { fetch: globalThis.fetch, history: globalThis.history };

  constructor(answer: (method: string, path: string) => Response | undefined) {
    globalThis.fetch = (path, { method = "GET" } = {}) => {
      this.requests.push(`${method} ${path}`);
      const response = answer(method, String(path));
      return response ? Promise.resolve(response) : Promise.reject(new TypeError("no network"));
    };
    Object.assign(globalThis, { history: { pushState() {} } });
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#before);
  }
}

function problem(status: number, code: string): Response {
  return Response.json({ status, code, detail: "" }, { status });
}

function list(...names: string[]): Response {
  const entries = names.map((name) => ({ name, type: "file", size: 1, mtime: 1, md5: null }));
  return Response.json({ entries });
}

const SESSION = { token: null, grants: { read: [""], delete: [""] }, mayLogIn: false, by: null };

/** The state of a page; messages are hidden before a test ends. */
function stateOf(pathname: string): PageState & Disposable {
  const state = new PageState(pathname);
  return Object.assign(state, { [Symbol.dispose]: () => state.hideMessage() });
}

Deno.test("from a document that was refused one gets to a directory, and back", async () => {
  using _ = new Around((_, path) => {
    if (path === "/.ferry/session") return Response.json(SESSION);
    return path === "/" ? list("a") : problem(404, "not_found");
  });
  using state = stateOf("/missing");
  await state.start();
  assertEquals(state.problem.value?.code, "not_found");
  await state.goTo("");
  assertEquals([state.problem.value, state.entries.value?.length], [undefined, 1]);
  await state.show("/missing");
  assertEquals(state.problem.value?.code, "not_found");
});

Deno.test("many entries are not asked to be deleted of a server that is away, or wants a login", async () => {
  for (const answer of [undefined, problem(401, "auth_required")]) {
    const names = Array.from({ length: 100 }, (_, n) => `${n}`);
    using around = new Around((method, path) => {
      if (method === "DELETE") return answer?.clone();
      return path === "/.ferry/session" ? Response.json(SESSION) : list(...names);
    });
    using state = stateOf("/");
    await state.start();
    await state.remove(state.entries.value!);
    const asked = around.requests.filter((request) => request.startsWith("DELETE"));
    assertEquals(asked.length <= 4, true, `${asked.length} requests`);
    assertEquals(state.message.value?.failed, true);
    assertEquals(state.entries.value?.length, 100);
  }
});

Deno.test("why a download fails is said, and the list shows what is there", async () => {
  const names = ["a", "b"];
  using around = new Around((method, path) => {
    if (method === "HEAD") {
      return new Response(null, { status: path === "/b?download" ? 404 : 200 });
    }
    return path === "/.ferry/session" ? Response.json(SESSION) : list(...names);
  });
  using state = stateOf("/");
  await state.start();
  names.pop();
  await state.watchDownload("/a?download");
  assertEquals(state.message.value, undefined);
  await state.watchDownload("/b?download");
  assertEquals(state.message.value?.failed, true);
  assertEquals(state.entries.value?.map(({ name }) => name), ["a"]);
  assertEquals(around.requests.filter((request) => request.startsWith("HEAD")).length, 2);
});

Deno.test("what has gone before it was renamed leaves the list", async () => {
  const names = ["a", "b"];
  using _ = new Around((method, path) => {
    if (method === "POST") return problem(404, "not_found");
    return path === "/.ferry/session" ? Response.json(SESSION) : list(...names);
  });
  using state = stateOf("/");
  await state.start();
  const entry = state.entries.value![1]!;
  names.pop();
  await state.rename(entry, "c");
  while (state.loading.value) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(state.entries.value?.map(({ name }) => name), ["a"]);
});

Deno.test("after an entry is deleted the keyboard is at the next one", async () => {
  const names = ["a", "b", "c"];
  using _ = new Around((method, path) => {
    if (method === "DELETE") names.splice(names.indexOf(path.slice(1)), 1);
    return path === "/.ferry/session" ? Response.json(SESSION) : list(...names);
  });
  using state = stateOf("/");
  await state.start();
  await state.remove([state.entries.value![1]!]);
  assertEquals(state.selection.value.at, "c");
  assertEquals(state.chosen.value, []);
});

Deno.test("a server that was away is asked again, and the list is there by itself", async () => {
  let isAway = false;
  using around = new Around((_, path) => {
    if (isAway) return undefined;
    return path === "/.ferry/session" ? Response.json(SESSION) : list("a");
  });
  using state = stateOf("/");
  await state.start();
  isAway = true;
  const { setTimeout } = globalThis;
  const timers: (() => void)[] = [];
  globalThis.setTimeout = ((run: () => void) => timers.push(run)) as unknown as typeof setTimeout;
  try {
    await state.reload();
    assertEquals(state.message.value?.failed, true);
    assertEquals(state.entries.value?.length, 1);
    state.hideMessage();
    isAway = false;
    const before = around.requests.length;
    for (const run of timers.splice(0)) run();
    while (state.loading.value) await new Promise((resolve) => setTimeout(resolve, 1));
    assertEquals(around.requests.slice(before), ["GET /"]);
    assertEquals(state.message.value, undefined);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});
