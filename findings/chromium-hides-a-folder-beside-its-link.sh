#!/bin/sh
# One would guess that a page is given all files of a folder that somebody chooses in a dialog, or drops on the page.
# Chromium (Debian, 150) leaves out more: of a folder that is chosen, it hides a folder in it, with all files, if a link
# beside it leads there and is listed first; and it turns the backslash in a name into a slash, so that two files have
# one path. Of the same folder dropped on the page it gives both files and the hidden folder, and passes over links only.
# Neither reports that something is missing: a page that counts what it was given counts too few.
set -eu
# On a tmpfs what was made last is listed first: the link before the folder.
dir=$(mktemp -d -p /dev/shm); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund playwright-core@1.65.1
mkdir -p top/real top/a
for name in top/real/inside 'top/a/b' 'top/a\b' top/plain; do echo "$name" >"$name"; done
ln -s real top/link
cat > look.cjs <<'EOF'
const { chromium } = require("playwright-core");
const page = `<input type="file" webkitdirectory><script>
  const chosen = document.querySelector("input");
  const all = async (entry, path) => {
    if (!entry.isDirectory) return [path];
    const reader = entry.createReader();
    const inside = await new Promise((done, failed) => reader.readEntries(done, failed));
    return (await Promise.all(inside.map((child) => all(child, path + "/" + child.name)))).flat();
  };
  const dropped = new Promise((done) => {
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      const entry = event.dataTransfer.items[0].webkitGetAsEntry();
      done(all(entry, entry.name));
    });
  });
</script>`;
(async () => {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  const tab = await browser.newPage();
  await tab.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: page }));
  await tab.goto("http://localhost/");
  const print = (how, paths) => console.log(`${how}: ${paths.sort().join(", ")}`);
  console.log(`Chromium ${browser.version()}`);
  await tab.setInputFiles("input", `${process.cwd()}/top`);
  print("chosen", await tab.evaluate(() => [...chosen.files].map((file) => file.webkitRelativePath)));
  const devtools = await tab.context().newCDPSession(tab);
  const data = { items: [], files: [`${process.cwd()}/top`], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await devtools.send("Input.dispatchDragEvent", { type, x: 50, y: 200, data });
  }
  print("dropped", await tab.evaluate(() => dropped));
  await browser.close();
})();
EOF
node look.cjs >out
cat out
grep -qx 'chosen: top/a/b, top/a/b, top/plain' out
grep -qx 'dropped: top/a/b, top/a\\b, top/plain, top/real/inside' out
echo "The folder \"real\" is hidden from a page for which it is chosen in a dialog."
