import { assertEquals } from "@std/assert";
import { siteOf } from "../../../../../server/protocols/http/login/origins.ts";
import fc from "../../../../support/properties.ts";

const RULES = { origins: ["https://app.example"], url: new URL("https://files.example") };

Deno.test("siteOf() believes Sec-Fetch-Site first, and compares Origin with Host where that is missing", () => {
  const host = "here.example:8080";
  for (
    const [site, headers] of [
      ["unknown", { host }],
      ["unknown", {}],
      ["own", { host, origin: "http://here.example:8080" }],
      ["own", { host, origin: "https://here.example:8080" }],
      ["own", { host: "HERE.example", origin: "http://here.example" }],
      ["own", { host: "here.example:443", origin: "https://here.example" }],
      ["own", { host, origin: "https://files.example" }],
      ["own", { host, "sec-fetch-site": "same-origin", origin: "http://elsewhere.example" }],
      ["own", { host, "sec-fetch-site": "none" }],
      ["allowed", { host, origin: "https://app.example" }],
      ["allowed", { host, "sec-fetch-site": "cross-site", origin: "https://app.example" }],
      ["foreign", { host, origin: "http://app.example" }],
      ["foreign", { host, origin: "https://app.example:444" }],
      ["foreign", { host, origin: "https://app.example, https://app.example" }],
      ["foreign", { host, origin: "http://here.example" }],
      ["foreign", { host, origin: "null" }],
      ["foreign", { host, origin: "" }],
      ["foreign", { origin: "http://here.example" }],
      ["foreign", { host, origin: "file://here.example:8080" }],
      ["foreign", { host, "sec-fetch-site": "same-site" }],
      ["foreign", { host, "sec-fetch-site": "cross-site" }],
      ["foreign", { host, "sec-fetch-site": "SAME-ORIGIN" }],
      ["foreign", { host, "sec-fetch-site": "" }],
    ] as const
  ) {
    assertEquals(siteOf(headers, RULES), site, JSON.stringify(headers));
  }
});

Deno.test("siteOf() takes no origin for another one, whatever it is", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(text, text, (origin, host) => {
    const site = siteOf({ origin, host }, RULES);
    const same = URL.parse(origin)?.host === URL.parse(`http://${host}`)?.host;
    assertEquals(site === "foreign" || site === "own" && same, true);
  }));
});
