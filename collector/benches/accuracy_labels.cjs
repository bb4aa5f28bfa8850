// Prints one line of JSON per user agent with labels that do not come from Sotto's own code.
//
// Real traffic (npm user-agents, BSD-2-Clause, weighted): class and system from what the browser's scripts reported
// (deviceCategory, navigator.platform), family and versions from ua-parser-js 1 (MIT).
// Crawlers: the instances of npm crawler-user-agents (MIT).
const { readFileSync } = require("node:fs");
const Parser = require("ua-parser-js");
const read = (path) => JSON.parse(readFileSync(`node_modules/${path}`, "utf8"));

const systemOf = (platform) =>
  /^(iPhone|iPad|iPod)/.test(platform) ? "iOS"
    : /^Win/.test(platform) ? "Windows"
    : /^Mac/.test(platform) ? "macOS"
    : /^Linux (arm|aarch)/.test(platform) ? "Android"
    : "";

const merged = new Map();
for (const row of read("user-agents/dist/user-agents.json")) {
  const key = [row.userAgent, row.deviceCategory, row.platform].join("\n");
  const seen = merged.get(key);
  if (seen) seen.weight += row.weight;
  else merged.set(key, { ...row });
}
const major = (version) => (version || "").split(".")[0];
for (const row of merged.values()) {
  const { browser, os } = new Parser(row.userAgent).getResult();
  console.log(JSON.stringify({
    kind: "real", ua: row.userAgent, weight: row.weight, device: row.deviceCategory,
    os: systemOf(row.platform), os_version: os.name === "iOS" ? major(os.version) : "",
    browser: browser.name || "", browser_version: major(browser.version),
  }));
}
for (const crawler of read("crawler-user-agents/crawler-user-agents.json")) {
  for (const ua of crawler.instances) console.log(JSON.stringify({ kind: "crawler", ua, weight: 1 }));
}
