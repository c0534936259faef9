/**
 * The build: an HTML page for each text that was fetched, and one that links to them.
 *
 * @module
 */

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const page = (title: string, body: string) =>
  `<!doctype html>\n<title>${escape(title)}</title>\n<h1>${escape(title)}</h1>\n${body}\n`;

await Deno.mkdir("dist", { recursive: true });
const links: string[] = [];
for await (const { name, isFile } of Deno.readDir("sources")) {
  if (!isFile || !name.endsWith(".txt")) continue;
  const title = name.slice(0, -".txt".length);
  const text = await Deno.readTextFile(`sources/${name}`);
  await Deno.writeTextFile(`dist/${title}.html`, page(title, `<pre>${escape(text)}</pre>`));
  links.push(`<li><a href="${encodeURIComponent(title)}.html">${escape(title)}</a></li>`);
}
await Deno.writeTextFile("dist/index.html", page("All texts", `<ul>${links.sort().join("")}</ul>`));
