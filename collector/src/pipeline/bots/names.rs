//! Names that crawlers, programs and automated browsers use for themselves; case-insensitive.

/// Crawlers and fetchers that feed AI systems, from their operators' documentation.
#[rustfmt::skip]
pub(super) const AI: &[&str] = &[
    "GPTBot", "OAI-SearchBot", "ChatGPT-User", "ChatGPT-Agent", "OAI-AdsBot", "ClaudeBot", "Claude-User",
    "Claude-SearchBot", "Claude-Web", "anthropic-ai", "PerplexityBot", "Perplexity-User", "Google-Extended",
    "Google-CloudVertexBot", "Google-Agent", "Google-NotebookLM", "GoogleAgent", "Gemini-Deep-Research", "CCBot", "Bytespider",
    "TikTokSpider", "Amazonbot", "Amzn-SearchBot", "Amzn-User", "NovaAct", "bedrockbot", "Applebot-Extended",
    "meta-externalagent", "meta-externalfetcher", "meta-webindexer", "FacebookBot", "cohere-ai",
    "cohere-training-data-crawler", "Diffbot", "AI2Bot", "YouBot", "DuckAssistBot", "MistralAI-User",
    "MistralAI-Index", "Timpibot", "omgili", "Webzio-Extended", "ImagesiftBot", "img2dataset", "Kangaroo Bot",
    "PanguBot", "iaskspider", "FriendlyCrawler", "VelenPublicWebCrawler", "ICC-Crawler", "DeepSeekBot", "GrokBot",
    "xAI-", "LinerBot", "Andibot", "aiHitBot", "Manus-User", "ChatGLM-Spider", "PhindBot", "LAIONDownloader",
    "SBIntuitionsBot", "FirecrawlAgent", "Cotoyogi", "Crawl4AI", "Devin/", "QualifiedBot", "WRTNBot", "TwinAgent",
    "kagi-fetcher", "Poggio-Citations", "Brightbot", "Thinkbot", "Quora-Bot", "LCC (", "quillbot", "Sidetrade",
];

/// Markers of automated browsers.
pub(super) const AUTOMATED: &[&str] = &[
    "HeadlessChrome",
    "HeadlessEdg",
    "Headless",
    "PhantomJS",
    "SlimerJS",
    "Puppeteer",
    "Playwright",
    "Selenium",
    "WebDriver",
    "Cypress",
    "jsdom",
    "HtmlUnit",
    "happy-dom",
    "Nightmare",
    "CasperJS",
    "Splash/",
    "splash Version",
    "Ghost Inspector",
    "Zombie.js",
];

/// Crawlers, monitors, previews, validators, scanners, libraries and tools. `…bot` is matched without an
/// entry.
#[rustfmt::skip]
pub(super) const CRAWLERS: &[&str] = &[
    // Words that only programs have in their names.
    "crawl", "slurp", "scraper", "fetcher", "http://", "https://", "+http", "httpclient", "http-client",
    "http_request", "link check", "linkcheck", "validator", "archiver", "indexer", "feedparser", "feedfetcher",
    "rss reader", "feedburner", "webmon", "healthcheck", "health check", "uptime", "urlpreview", "uripreview",
    "link preview", "linkpreview", "site analyzer", "security scan", "vulnerab", "prerender", "rendertron", "monitor",
    "scanner", "contentscan", "researchscan", "scraping", "-agent", " agent", "httpagent", "inspector", "auditor",
    "sitemap", "webcapture", "imageproxy", "watcher/", "verify/", "checker", "diagnostics", "prospecting", "reaver", "subscribers", "translationserver", "mailto:",
    // Search engines and networks.
    "mediapartners-google", "adsbot", "apis-google", "google-read-aloud", "googleother", "google-inspectiontool",
    "google-site-verification", "google-safety", "googleproducer", "google favicon", "google web preview",
    "google-adwords", "google-xrawler", "storebot", "duplexweb-google", "google-lens", "chrome privacy preserving prefetch",
    "bingpreview", "msnbot", "adidxbot", "yahoo! slurp", "yahoo link preview", "baiduspider", "baidu-transcoder",
    "sogou web", "yisouspider", "360spider", "haosouspider", "petalbot", "coccocbot", "seznambot", "daum/", "yeti/",
    "naverbot", "qwantify", "ia_archiver", "archive.org", "heritrix", "mail.ru_bot", "exabot", "facebookexternalhit",
    "facebookcatalog", "facebot", "embedly", "skypeuripreview", "flipboardproxy", "vkshare", "w3c_", "w3c-",
    "whatsapp/0.", "whatsapp/2.", "google-ads-", "google-physicalweb", "playstore-google", "snap url preview", "iframely", "outbrain", "quora link preview", "pinterest/0.", "tumblr/",
    // All that Google's own programs are called, but its browsers and apps.
    "google-", "google web", "googlehc",
    // Monitors and measurement.
    "pingdom", "statuscake", "site24x7", "newrelicpinger", "datadog", "gtmetrix", "lighthouse", "pagespeed", "ptst/",
    "catchpoint", "dareboost", "speedcurve", "calibre", "uptimerobot", "betteruptime", "better uptime", "checkly",
    "nagios", "zabbix", "dynatrace", "synthetic", "monitis", "alertsite", "hetrixtools", "updown.io", "freshping",
    "appinsights", "health-check", "observatory", "rigor)", "testlocally", " ylt ", "silktide", "readable/", "hotjar", "thumbnail",
    // Optimisers, archives, scanners.
    "datanyze", "cookiehub", "luminator", "collapsify", "sindup", "turingos", " dlc/", "foregenix", "linktiger", "marketgoo", "newsnow",
    "newsai", "xmco", "watchtowr", "productfinder",
    "screaming frog", "sitebulb", "deepcrawl", "semrush", "ahrefs", "mj12", "dotbot", "rogerbot", "blexbot", "netcraft",
    "censys", "expanse", "zgrab", "masscan", "nmap", "nuclei", "nikto", "sqlmap", "wpscan", "leakix", "internet-measurement",
    "palo alto", "openvas", "sucuri", "hardenize", "securityheaders", "httrack", "shodan", "qualys", "acunetix", "burp", "zap/", "dirbuster", "gobuster", "feroxbuster",
    // Libraries and tools.
    "python", "aiohttp", "httpx", "curl/", "libcurl", "wget", "libwww", "lwp::", "lwp-", "go-http", "java/", "okhttp", "axios",
    "node-fetch", "undici", "got (", "superagent", "ruby/", "faraday", "mechanize", "perl", "php/", "guzzle", "postman",
    "insomnia", "httpie", "scrapy", "dart:io", "restsharp", "reqwest", "hyper/", "ureq", "winhttp", "wininet", "node.js",
    "deno/", "bun/", "apachebench", "wrk/", "k6/", "artillery", "jmeter", "locust", "gatling", "siege", "vegeta",
    "nutch", "colly", "wkhtml", "weasyprint", "electron-fetch", "java.net", "jakarta", "urllib", "winhttprequest",
];
