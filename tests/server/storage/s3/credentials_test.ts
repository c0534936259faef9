import { assert, assertEquals } from "@std/assert";
import {
  credentialsFrom,
  parseProfiles,
  regionFrom,
} from "../../../../server/storage/s3/credentials.ts";
import { assertCode } from "../../../support/assertions.ts";
import { TempDir } from "../../../support/programs.ts";

function environment(
  variables: Readonly<Record<string, string>>,
): (name: string) => string | undefined {
  return (name) => variables[name];
}

const KEYS = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };

Deno.test("keys of the environment come before those of files", async () => {
  const env = environment({
    ...KEYS,
    AWS_SESSION_TOKEN: "token",
    AWS_SHARED_CREDENTIALS_FILE: "/no",
  });
  const expected = { accessKeyId: "id", secretAccessKey: "secret", sessionToken: "token" };
  assertEquals(await credentialsFrom(env)(), expected);
  const empty = environment({ ...KEYS, AWS_SESSION_TOKEN: "" });
  assertEquals((await credentialsFrom(empty)()).sessionToken, undefined);
});

Deno.test("an environment without keys, or with half of them, is refused", async () => {
  await assertCode("usage", () => credentialsFrom(environment({})), "set AWS_ACCESS_KEY_ID and");
  for (const [name, value] of Object.entries(KEYS)) {
    const other = Object.keys(KEYS).find((key) => key !== name)!;
    const run = () => credentialsFrom(environment({ [name]: value }));
    await assertCode("usage", run, `${name} is set, but not ${other}`);
  }
});

Deno.test("keys that no request could carry are refused, and not shown", async () => {
  await using dir = new TempDir();
  const AWS_SHARED_CREDENTIALS_FILE = dir.join("credentials");
  for (const bad of ["hidden\n", "hid den", "hidd\u00e9n"]) {
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]) {
      const run = () => credentialsFrom(environment({ ...KEYS, [name]: bad }));
      const error = await assertCode("usage", run, `${name} contains a space, a line break`);
      assert(!error.message.includes("hid"));
    }
  }
  await Deno.writeTextFile(
    AWS_SHARED_CREDENTIALS_FILE,
    "[default]\naws_access_key_id = hid den\naws_secret_access_key = secret\n",
  );
  const source = credentialsFrom(environment({ AWS_SHARED_CREDENTIALS_FILE }));
  await assertCode("usage", () => source(), "its aws_access_key_id contains a space");
});

Deno.test("a profile of a file is read, and read again when the file has changed", async () => {
  await using dir = new TempDir();
  const path = dir.join("credentials");
  await Deno.writeTextFile(
    path,
    `# comment
[default]
aws_access_key_id = first
aws_secret_access_key = a/b+c=#;d

[ other ]
AWS_ACCESS_KEY_ID=second
aws_secret_access_key=e
aws_session_token=f
`,
  );
  const AWS_SHARED_CREDENTIALS_FILE = path;
  const source = credentialsFrom(environment({ AWS_SHARED_CREDENTIALS_FILE }));
  const first = { accessKeyId: "first", secretAccessKey: "a/b+c=#;d", sessionToken: undefined };
  assertEquals(await source(), first);
  const other = credentialsFrom(environment({ AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE: "other" }));
  assertEquals(await other(), { accessKeyId: "second", secretAccessKey: "e", sessionToken: "f" });
  // What the store refuses is looked up again at once.
  await Deno.writeTextFile(path, "[default]\naws_access_key_id=third\naws_secret_access_key=g\n");
  assertEquals(await source(), first);
  assertEquals((await source({ refresh: true })).accessKeyId, "third");
  assertEquals((await source()).accessKeyId, "third");
  // Half of a file, or none, changes nothing.
  await Deno.writeTextFile(path, "[default]\naws_access_key_id=fo");
  assertEquals((await source({ refresh: true })).accessKeyId, "third");
  await Deno.remove(path);
  assertEquals((await source({ refresh: true })).accessKeyId, "third");
});

Deno.test("a file without the keys is told, and none of its secrets", async () => {
  await using dir = new TempDir();
  const path = dir.join("credentials");
  await Deno.writeTextFile(path, "[a]\naws_secret_access_key=hush\n[b]\naws_access_key_id=id\n");
  const read = (name: string, at = path) =>
    credentialsFrom(environment({ AWS_SHARED_CREDENTIALS_FILE: at, AWS_PROFILE: name }))();
  const missing: [string, string][] = [
    ["a", "the profile a has no aws_access_key_id"],
    ["b", "the profile b has no aws_secret_access_key"],
    ["c", "it has no profile c"],
  ];
  for (const [name, words] of missing) {
    const { message } = await assertCode("usage", () => read(name), words);
    assert(!message.includes("hush"));
  }
  await assertCode("usage", () => read("a", dir.join("none")), "it does not exist");
});

Deno.test("the file of a home directory is the default", async () => {
  await using dir = new TempDir();
  await Deno.mkdir(dir.join(".aws"));
  const keys = "[default]\naws_access_key_id=id\naws_secret_access_key=secret\n";
  await Deno.writeTextFile(dir.join(".aws/credentials"), keys);
  await Deno.writeTextFile(
    dir.join(".aws/config"),
    "[default]\nregion=here\n[profile p]\nregion=there\n",
  );
  const HOME = dir.path;
  assertEquals((await credentialsFrom(environment({ HOME }))()).accessKeyId, "id");
  assertEquals(await regionFrom(environment({ HOME })), "here");
  assertEquals(await regionFrom(environment({ HOME, AWS_PROFILE: "p" })), "there");
  assertEquals(await regionFrom(environment({ HOME, AWS_DEFAULT_REGION: "set" })), "set");
  assertEquals(await regionFrom(environment({ HOME: "/no/such" })), undefined);
  assertEquals(await regionFrom(environment({})), undefined);
});

Deno.test("parseProfiles() takes sections, settings and comments, and leaves the rest out", () => {
  const profiles = parseProfiles(
    '\ufeffstray=1\r\n[one]\r\na_b = x y \r\n;c=1\n nested=1\n#d=1\n=e\nf\n[profile "two w"]\ng==h\n[one]\ni=\n',
  );
  const found = Object.fromEntries(
    [...profiles].map(([name, of]) => [name, Object.fromEntries(of)]),
  );
  assertEquals(found, { "one": { a_b: "x y", i: "" }, "two w": { g: "=h" } });
});
