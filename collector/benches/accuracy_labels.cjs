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

// Rare and old devices: the fixtures of Matomo's Device Detector (PyPI device_detector, LGPL-3.0), labelled by their makers. Half
// of them, chosen by a hash, may be looked at when rules are mended; the other half is only counted.
const { createHash } = require("node:crypto");
const { readdirSync } = require("node:fs");
const { parse } = require("yaml");
const fixtures = "device_detector/device_detector/tests/fixtures/upstream";
const CLASSES = {
  "smartphone": "mobile", "phablet": "mobile", "feature phone": "mobile", "tablet": "tablet", "tv": "tv", "desktop": "desktop",
  "console": "console", "wearable": "wearable", "car browser": "car",
};
const SYSTEMS = {
  "Android": "Android", "Android TV": "Android", "Fire OS": "Android", "Wear OS": "Android", "CyanogenMod": "Android",
  "Lineage OS": "Android", "iOS": "iOS", "iPadOS": "iOS", "Windows": "Windows", "Windows RT": "Windows", "Mac": "macOS",
  "GNU/Linux": "Linux", "Ubuntu": "Linux", "Debian": "Linux", "Fedora": "Linux", "Arch Linux": "Linux", "SUSE": "Linux",
  "Chrome OS": "ChromeOS", "webOS": "webOS", "Tizen": "Tizen", "KaiOS": "KaiOS", "HarmonyOS": "HarmonyOS", "VIDAA": "VIDAA",
  "Windows Phone": "Windows Phone", "watchOS": "watchOS", "tvOS": "tvOS", "Roku OS": "Roku", "BlackBerry OS": "BlackBerry",
  "PlayStation": "PlayStation", "Nintendo": "Nintendo", "FreeBSD": "FreeBSD",
};
const BROWSERS = {
  "Chrome Mobile": "Chrome", "Chrome Mobile iOS": "Chrome", "Chrome": "Chrome", "Headless Chrome": "Chrome",
  "Chrome Webview": "Android WebView", "Android Browser": "Android Browser", "Yandex Browser": "Yandex",
  "Yandex Browser Lite": "Yandex", "UC Browser": "UC Browser", "UC Browser Turbo": "UC Browser", "Opera Mobile": "Opera",
  "Opera": "Opera", "Opera Mini": "Opera", "Opera Touch": "Opera", "Opera GX": "Opera", "Opera Devices": "Opera",
  "Samsung Browser": "Samsung Internet", "Mi Browser": "MIUI Browser", "QQ Browser": "QQ Browser", "QQ Browser Mini": "QQ Browser",
  "Huawei Browser Mobile": "Huawei Browser", "Huawei Browser": "Huawei Browser", "Quark": "Quark", "IE Mobile": "Internet Explorer",
  "Internet Explorer": "Internet Explorer", "Microsoft Edge": "Edge", "Firefox Mobile": "Firefox", "Firefox Mobile iOS": "Firefox",
  "Firefox": "Firefox", "Firefox Focus": "Firefox", "vivo Browser": "Vivo Browser", "Safari": "Safari", "Mobile Safari": "Safari",
  "Mobile Silk": "Silk", "Phoenix Browser": "Phoenix", "Puffin Web Browser": "Puffin", "HeyTapBrowser": "HeyTap",
  "Aloha Browser": "Aloha", "DuckDuckGo Privacy Browser": "DuckDuckGo", "Maxthon": "Maxthon", "Chromium": "Chromium",
  "Sogou Mobile Browser": "Sogou", "Oculus Browser": "Meta Quest Browser", "Mint Browser": "Mint", "Ecosia": "Ecosia",
  "Vivaldi": "Vivaldi", "Brave": "Brave", "Whale Browser": "Whale", "Konqueror": "Konqueror", "Sleipnir": "Sleipnir",
};
for (const file of readdirSync(fixtures).filter((name) => name.endsWith(".yml"))) {
  for (const row of parse(readFileSync(`${fixtures}/${file}`, "utf8"), { maxAliasCount: -1 })) {
    const ua = row.user_agent;
    // Those with client hints in headers are another test's.
    if (!ua || row.headers) continue;
    const held = createHash("sha256").update(ua).digest()[0] % 2 === 1;
    if (row.bot) {
      console.log(JSON.stringify({ kind: held ? "held crawler" : "rare crawler", ua, weight: 1 }));
      continue;
    }
    const client = row.client || {};
    // What else there is, as players and office programs, runs no script of a page.
    if (client.type !== "browser" || ua.startsWith("Dalvik/")) continue;
    const browser = BROWSERS[client.name] || "";
    console.log(JSON.stringify({
      kind: held ? "held" : "rare", ua, weight: 1, device: CLASSES[row.device?.type] || "", os: SYSTEMS[row.os?.name] || "",
      os_version: "", browser, browser_version: browser ? major(String(client.version ?? "")) : "",
    }));
  }
}
