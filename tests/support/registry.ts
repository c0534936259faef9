/**
 * A local registry that acts as JSR for `deno publish` and `deno run`, and as npm: the packages are published to it and
 * run from it.
 *
 * @module
 */

import { createHash } from "node:crypto";
import config from "../../deno.json" with { type: "json" };
import { DENO, PROJECT, TempDir } from "./programs.ts";

const { name: NAME, version: VERSION, exports: EXPORTS } = config;

/** A running registry with this project published to it. */
export class Registry implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;

  private constructor() {
    const port = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(port, (request) => this.#answer(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /**
   * Starts a registry and publishes to it.
   *
   * @param npmPackage the directory of the package for npm
   */
  static async start(npmPackage: string): Promise<Registry> {
    const registry = new Registry();
    const publish = ["publish", "--quiet", "--token", "any", "--allow-dirty", "--no-check"];
    await run([DENO, ...publish], { JSR_URL: registry.url });
    const dir = registry.#dir;
    Deno.mkdirSync(dir.join("jsr"));
    await run(["tar", "-xzf", dir.join("jsr.tgz"), "-C", dir.join("jsr")]);
    const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";
    await run([npm, "pack", "--silent", "--pack-destination", dir.path, npmPackage]);
    const [packed] = [...Deno.readDirSync(dir.path)].filter(({ name }) =>
      /^ferry-.*tgz$/.test(name)
    );
    Deno.renameSync(dir.join(packed!.name), dir.join("npm.tgz"));
    Deno.copyFileSync(`${npmPackage}/package.json`, dir.join("package.json"));
    return registry;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const dir = this.#dir;
    if (pathname.startsWith("/api/") && request.method === "POST") {
      Deno.writeFileSync(dir.join("jsr.tgz"), new Uint8Array(await request.arrayBuffer()));
      return Response.json({ id: "1", status: "success", error: null });
    }
    if (pathname.includes("/versions/")) {
      return Response.json({ code: "packageVersionNotFound", message: "" }, { status: 404 });
    }
    if (pathname.startsWith("/api/")) return Response.json({});
    switch (decodeURIComponent(pathname)) {
      case `/${NAME}/meta.json`:
        return Response.json({ latest: VERSION, versions: { [VERSION]: {} } });
      case `/${NAME}/${VERSION}_meta.json`:
        return Response.json({ exports: EXPORTS, manifest: manifestOf(dir.join("jsr")) });
      case "/npm.tgz":
        return new Response(Deno.readFileSync(dir.join("npm.tgz")));
      case `/${NAME}`:
        return Response.json(this.#npmPackage());
    }
    const path = decodeURIComponent(pathname).replace(`/${NAME}/${VERSION}/`, "");
    try {
      return new Response(Deno.readFileSync(dir.join(`jsr/${path}`)));
    } catch {
      return new Response(null, { status: 404 });
    }
  }

  #npmPackage(): unknown {
    const manifest = JSON.parse(Deno.readTextFileSync(this.#dir.join("package.json")));
    const sha512 = createHash("sha512").update(Deno.readFileSync(this.#dir.join("npm.tgz")));
    const integrity = `sha512-${sha512.digest("base64")}`;
    return {
      name: NAME,
      "dist-tags": { latest: VERSION },
      versions: { [VERSION]: { ...manifest, dist: { tarball: `${this.url}npm.tgz`, integrity } } },
    };
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await this.#dir[Symbol.asyncDispose]();
  }
}

async function run([command, ...args]: readonly string[], env = {}): Promise<void> {
  const { success, stderr } = await new Deno.Command(command!, { args, env, cwd: PROJECT })
    .output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
}

/** Sizes and checksums of a package's files, as in JSR's version metadata. */
function manifestOf(root: string, below = ""): Record<string, { size: number; checksum: string }> {
  return Object.assign(
    {},
    ...[...Deno.readDirSync(root + below)].map(({ name, isDirectory }) => {
      const path = `${below}/${name}`;
      if (isDirectory) return manifestOf(root, path);
      const bytes = Deno.readFileSync(root + path);
      const checksum = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
      return { [path]: { size: bytes.length, checksum } };
    }),
  );
}
