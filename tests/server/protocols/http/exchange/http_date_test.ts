import { assertEquals } from "@std/assert";
import {
  formatHttpDate,
  parseHttpDate,
} from "../../../../../server/protocols/http/exchange/http_date.ts";

const TIME = Date.UTC(1994, 10, 6, 8, 49, 37);

Deno.test("formatHttpDate() leaves out the part of a second", () => {
  assertEquals(formatHttpDate(TIME + 999), "Sun, 06 Nov 1994 08:49:37 GMT");
});

Deno.test("parseHttpDate() takes the three forms of RFC 9110, and nothing else", () => {
  const dates = [
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
  ];
  for (const date of dates) assertEquals(parseHttpDate(date), TIME, date);
  const others = [
    "",
    "0",
    "784111777",
    "1994-11-06T08:49:37Z",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 +0100",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    "06 Nov 1994 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994 GMT",
  ];
  for (const text of others) assertEquals(parseHttpDate(text), undefined, text);
});
