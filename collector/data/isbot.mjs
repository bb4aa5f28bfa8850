// Makes `isbot.txt` from the list of npm's `isbot` (Unlicense, so in the public domain):
//
//   npm install --no-save isbot && node collector/data/isbot.mjs > collector/data/isbot.txt
//
// How many people and crawlers the list tells apart: `benches/accuracy.rs`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** Left out, as people's browsers, apps, phones and televisions have these in their names, too. */
const OF_PEOPLE = [
  "(?:^|[^g])news(?!sapphire)", "(?<! channel/|google/)google(?!(?:wv|app|/google| pixel))", "(?<! cu)bots?(?:\\b|_)",
  "\\b\\w+/1\\.0;", "\\|", "browsex", "capture", "catch", "chromeframe", "discovery", "download", "grab", "proxy", "radar", "sogou",
  "spider", "virtuoso",
];
/** What looks around, which regular expressions of Rust cannot, in other words. */
const PLAIN = { "(?<!cam)scan": "(?:^|[^m])scan", "(?<!lib)http": "(?:^|[^b])http", "java(?!;)": "java(?:[^;]|$)" };

const entry = createRequire(`${process.cwd()}/`).resolve("isbot");
const { version } = JSON.parse(readFileSync(entry.replace(/isbot\/[^/]*$/, "isbot/package.json"), "utf8"));
const { list } = await import(entry);
// What is tied to the beginning is for user agents that do not begin like a browser's, and these are programs anyway.
const kept = list.filter((pattern) => !pattern.startsWith("^") && !OF_PEOPLE.includes(pattern));
console.log(`# Words in the user agents of programs; regular expressions, whatever the case of letters.
# isbot ${version} (npm, Unlicense), ${new Date().toISOString().slice(0, 10)}, by isbot.mjs.`);
for (const pattern of kept) console.log(PLAIN[pattern] ?? pattern);
