import { assertEquals } from "@std/assert";
import { isGranted, type Session } from "../../../page/door/door.ts";
import { problemIn } from "../../../page/door/request.ts";

Deno.test("isGranted() knows below which directories a scope is granted", () => {
  const grants = { read: [""], write: ["in/box", "other"] };
  const session: Session = { token: null, grants, mayLogIn: true, by: null };
  for (const directory of ["", "a", "a/b"]) {
    assertEquals(isGranted(session, "read", directory), true);
  }
  for (const directory of ["in/box", "in/box/a", "other"]) {
    assertEquals(isGranted(session, "write", directory), true, directory);
  }
  for (const directory of ["", "in", "in/boxes", "others"]) {
    assertEquals(isGranted(session, "write", directory), false, directory);
  }
  assertEquals(isGranted(session, "delete", ""), false);
});

Deno.test("problemIn() reads the server's problem, and makes one of what a proxy says", async () => {
  const said = Response.json({
    status: 412,
    code: "exists",
    title: "Precondition Failed",
    detail: "it is there",
  }, {
    status: 412,
  });
  const problem = await problemIn(said);
  assertEquals([problem.code, problem.status, problem.message], ["exists", 412, "it is there"]);
  const statuses: [status: number, code: string][] = [
    [401, "auth_required"],
    [403, "denied"],
    [404, "not_found"],
    [413, "too_large"],
    [502, "busy"],
    [503, "busy"],
    [504, "busy"],
    [500, "internal"],
  ];
  for (const [status, code] of statuses) {
    assertEquals((await problemIn(new Response("<html>", { status }))).code, code);
  }
});
