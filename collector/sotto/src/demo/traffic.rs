//! What the visitors of the demo site do: a small hotel with a blog, a newsletter and a few advertisements.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::{
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde_json::{Value, json};
use sotto_collector::visitor::client_ip::{Peer, TrustedProxies, client_ip};
use sotto_geoip::GeoDb;

/// A hit to send.
pub struct Sent {
    /// When it is sent, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// Its headers, with the visitor's address as set by a proxy on this machine.
    pub headers: HeaderMap,
    /// Its body in the native format.
    pub body: String,
}

/// Where visits come from: referrer, query of the landing page, weight.
const SOURCES: &[(&str, &str, u32)] = &[
    ("", "", 300),
    ("https://www.google.com/", "", 290),
    ("https://www.bing.com/", "", 38),
    ("https://duckduckgo.com/", "", 34),
    ("https://www.ecosia.org/", "", 14),
    ("https://chatgpt.com/", "", 30),
    ("https://www.perplexity.ai/", "", 9),
    ("https://l.instagram.com/", "", 52),
    ("https://m.facebook.com/", "", 30),
    ("https://www.linkedin.com/", "", 10),
    ("https://www.youtube.com/", "", 9),
    ("https://www.reddit.com/r/travel/comments/1abcd/", "", 12),
    ("https://wa.me/", "", 14),
    ("https://www.tripadvisor.com/Hotel_Review-g1", "", 34),
    ("https://www.booking.com/", "", 22),
    ("https://wanderblog.example/saechsische-schweiz", "", 18),
    ("", "utm_source=newsletter&utm_medium=email&utm_campaign=autumn-letter&utm_content=button", 46),
    (
        "https://www.google.com/",
        "gclid=x1&utm_source=google&utm_medium=cpc&utm_campaign=rooms-brand&utm_term=rooms+saxon+switzerland",
        44,
    ),
    (
        "https://l.instagram.com/",
        "utm_source=instagram&utm_medium=paid_social&utm_campaign=garden-suite&utm_content=video&fbclid=y2",
        26,
    ),
];

/// The entries of [`SOURCES`] that are campaigns, the newsletter first.
const CAMPAIGNS: Range<usize> = 16..SOURCES.len();

/// Pages: path, weight as a landing page, weight as a next page, seconds of reading.
const PAGES: &[(&str, u32, u32, u32)] = &[
    ("/", 420, 120, 25),
    ("/rooms", 90, 200, 40),
    ("/rooms/garden-suite", 60, 140, 55),
    ("/rooms/attic", 20, 90, 45),
    ("/rooms/family", 24, 80, 45),
    ("/prices", 46, 150, 35),
    ("/restaurant", 50, 90, 35),
    ("/blog/hiking-the-bastei", 120, 40, 110),
    ("/blog/winter-by-the-elbe", 60, 30, 95),
    ("/blog/what-to-pack", 44, 24, 90),
    ("/blog/arriving-by-train", 52, 24, 80),
    ("/contact", 24, 70, 30),
    ("/booking", 16, 110, 90),
];

/// User agents with their share, bots last.
const BROWSERS: &[(&str, u16, u32)] = &[
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
        390,
        250,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        412,
        210,
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        384,
        40,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 401.0.0.28.77 (iPhone16,1; iOS 18_6; de_DE; de; scale=3.00; 1179x2556; 780000000)",
        393,
        34,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        1536,
        160,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        1920,
        70,
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", 1680, 60),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
        1440,
        80,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        1512,
        50,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", 1920, 20),
    (
        "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
        834,
        30,
    ),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 800, 16),
    (
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        800,
        10,
    ),
];

/// The entries of [`BROWSERS`] that people use.
const PEOPLE: Range<usize> = 0..BROWSERS.len() - 2;

/// Countries with their share and their visitors' language.
const COUNTRIES: &[(&str, &str, u32)] = &[
    ("DE", "de-DE,de;q=0.9,en;q=0.7", 430),
    ("AT", "de-AT,de;q=0.9", 70),
    ("CH", "de-CH,de;q=0.9,fr;q=0.6", 60),
    ("CZ", "cs-CZ,cs;q=0.9", 60),
    ("PL", "pl-PL,pl;q=0.9", 50),
    ("NL", "nl-NL,nl;q=0.9,en;q=0.8", 60),
    ("FR", "fr-FR,fr;q=0.9", 50),
    ("GB", "en-GB,en;q=0.9", 60),
    ("US", "en-US,en;q=0.9", 80),
    ("IT", "it-IT,it;q=0.9", 24),
    ("ES", "es-ES,es;q=0.9", 20),
    ("DK", "da-DK,da;q=0.9", 20),
    ("JP", "ja-JP,ja;q=0.9", 10),
];

/// What visitors answer to the consent banner: mask (none: no answer), share.
const ANSWERS: &[(Option<u8>, u32)] = &[(None, 330), (EVERYTHING, 380), (Some(5), 110), (Some(1), 180)];
const EVERYTHING: Option<u8> = Some(15);

/// Visits per hour of the day, from midnight.
const HOURS: [u32; 24] =
    [10, 6, 4, 3, 3, 5, 12, 24, 38, 48, 54, 56, 58, 54, 50, 50, 54, 60, 68, 78, 84, 72, 46, 24];

/// Addresses kept per country.
const ADDRESSES: usize = 400;
/// Random addresses tried to find them.
const PROBES: usize = 400_000;

/// What brings a visitor to the site.
#[derive(Clone, Copy)]
enum Occasion {
    Chance,
    /// The newsletter has gone out.
    Letter,
    /// One of [`CAMPAIGNS`], to somebody who agrees to everything.
    Campaign(usize),
}

/// The simulated visitors.
pub struct World {
    random: fastrand::Rng,
    /// Addresses of each of [`COUNTRIES`].
    addresses: Vec<Vec<HeaderValue>>,
}

fn weighted(random: &mut fastrand::Rng, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let mut left = random.u32(0..weights.clone().sum());
    weights
        .take_while(|w| {
            left >= *w && {
                left -= w;
                true
            }
        })
        .count()
}

impl World {
    /// Visitors with addresses that `geo` places in their countries.
    pub fn new(seed: u64, geo: &GeoDb) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut addresses = vec![Vec::new(); COUNTRIES.len()];
        let proxies = TrustedProxies::default();
        for _ in 0..PROBES {
            let [a, b, c, d] = random.u32(..).to_be_bytes();
            let Ok(value) = HeaderValue::from_str(&format!("{a}.{b}.{c}.{d}")) else { continue };
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, value.clone());
            let place = client_ip(Peer::LOOPBACK, &headers, &proxies).locate(geo).place;
            let country = place.and_then(|p| COUNTRIES.iter().position(|(code, ..)| *code == p.country));
            if let Some(country) = country
                && addresses[country].len() < ADDRESSES
            {
                addresses[country].push(value);
            }
        }
        for (n, list) in addresses.iter_mut().enumerate() {
            if list.is_empty() {
                // Without GeoIP files: addresses for documentation (RFC 5737), a different one per country.
                list.extend(HeaderValue::from_str(&format!("198.51.100.{n}")).ok());
            }
        }
        Self { random, addresses }
    }

    /// All hits of one day in a time zone, in order of time.
    ///
    /// On any day every campaign brings somebody who consents to everything: left to chance, some short demos
    /// had none.
    pub fn day(
        &mut self,
        site: &str,
        date: Date,
        zone: &TimeZone,
        visits: f64,
    ) -> Result<Vec<Sent>, jiff::Error> {
        let weekday = match date.weekday() {
            Weekday::Saturday => 0.82,
            Weekday::Sunday => 1.16,
            Weekday::Monday => 1.08,
            Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => 1.0,
        };
        // The newsletter goes out on the first Thursday of a month.
        let letter = date.weekday() == Weekday::Thursday && date.day() <= 7;
        let noise = 0.9 + self.random.f64() * 0.2;
        let count = (visits * weekday * noise * if letter { 1.45 } else { 1.0 }).round() as usize;
        let usual = if letter { Occasion::Letter } else { Occasion::Chance };
        let occasions = CAMPAIGNS.map(Occasion::Campaign).chain(std::iter::repeat(usual));
        let mut hits = Vec::new();
        for occasion in occasions.take(count) {
            let hour = weighted(&mut self.random, HOURS.iter().copied()) as i8;
            let (minute, second) = (self.random.i8(0..60), self.random.i8(0..60));
            // An hour skipped by the clock change becomes the next one.
            let start = date.at(hour, minute, second, 0).to_zoned(zone.clone())?.timestamp().as_millisecond();
            self.visit(site, start, occasion, &mut hits);
        }
        hits.sort_by_key(|hit: &Sent| hit.time_ms);
        Ok(hits)
    }

    fn visit(&mut self, site: &str, start: i64, occasion: Occasion, hits: &mut Vec<Sent>) {
        let random = &mut self.random;
        let country = weighted(random, COUNTRIES.iter().map(|c| c.2));
        let address = random.choice(&self.addresses[country]).cloned();
        let agrees = matches!(occasion, Occasion::Campaign(_));
        let browsers = if agrees { &BROWSERS[PEOPLE] } else { BROWSERS };
        let browser = browsers[weighted(random, browsers.iter().map(|b| b.2))];
        let source = match occasion {
            Occasion::Campaign(source) => source,
            Occasion::Letter if random.u8(0..10) < 3 => CAMPAIGNS.start,
            Occasion::Letter | Occasion::Chance => weighted(random, SOURCES.iter().map(|s| s.2)),
        };
        let (referrer, query, _) = SOURCES[source];
        let answer = ANSWERS[weighted(random, ANSWERS.iter().map(|a| a.1))].0;
        let consent = if agrees { EVERYTHING } else { answer };
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(browser.0));
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(COUNTRIES[country].1));
        if let Some(address) = address {
            headers.insert(FORWARDED_FOR, address);
        }
        if random.u8(0..100) < 6 && !agrees {
            headers.insert(GPC, HeaderValue::from_static("1"));
        }
        let mut visit = Visit { site, headers, consent, time_ms: start, hits };
        let mut page = weighted(random, PAGES.iter().map(|p| p.1));
        let views = 1 + weighted(random, [54, 20, 12, 7, 4, 2, 1].into_iter());
        for view in 0..views {
            let id = random_view(random);
            let missing = random.u8(0..100) < 2;
            let path = if missing { MISSING[usize::from(view == 0)] } else { PAGES[page].0 };
            let query = if view == 0 { query } else { "" };
            let url = format!("https://demo.example{path}{}{query}", if query.is_empty() { "" } else { "?" });
            let mut hit = json!({ "k": "p", "i": id, "q": 0, "u": url, "w": browser.1 });
            if view == 0 && !referrer.is_empty() {
                hit["r"] = referrer.into();
            }
            visit.send(hit);
            let read = 2_000 + random.u32(0..PAGES[page].3 * 2_000);
            visit.time_ms += i64::from(read);
            let mut seq = 1;
            if missing {
                visit.send(json!({ "k": "x", "i": id, "q": seq, "n": "404", "p": { "path": path } }));
                seq += 1;
            } else if random.u8(0..100) < 9 {
                visit.send(event(random, path, &id, seq));
                seq += 1;
            }
            let scroll = random.u8(20..=100);
            visit.send(json!({ "k": "e", "i": id, "q": seq, "e": read, "d": scroll }));
            seq += 1;
            if view == 0 && random.u8(0..100) < 40 {
                visit.send(vitals(random, &id, seq));
                seq += 1;
            }
            if random.u8(0..100) < 35 {
                visit.send(clicks(random, &id, seq));
            }
            page = weighted(random, PAGES.iter().map(|p| p.2));
            visit.time_ms += i64::from(random.u32(300..4_000));
        }
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const GPC: HeaderName = HeaderName::from_static("sec-gpc");

fn random_view(random: &mut fastrand::Rng) -> String {
    (0..8).map(|_| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[random.usize(0..36)])).collect()
}

fn event(random: &mut fastrand::Rng, path: &str, view: &str, seq: u32) -> Value {
    let mut hit = match (path, random.u8(0..3)) {
        ("/booking", 0 | 1) => {
            let nights = random.u32(1..6);
            json!({ "n": "Booking", "p": { "nights": nights.to_string() }, "m$": { "a": nights * 118, "c": "EUR" } })
        }
        ("/contact", 2) => {
            json!({ "n": "outbound", "p": { "url": "https://www.bahn.example/en/timetable" } })
        }
        ("/blog/hiking-the-bastei" | "/blog/winter-by-the-elbe", 2) => {
            json!({ "n": "outbound", "p": { "url": "https://trails.example/bastei" } })
        }
        (_, 0) => json!({ "n": "contact", "p": { "type": "tel" } }),
        (_, 1) => json!({ "n": "download", "p": { "url": "https://demo.example/menu.pdf" } }),
        (_, _) => json!({ "n": "Newsletter" }),
    };
    for (key, value) in [("k", "x".into()), ("i", Value::from(view)), ("q", seq.into())] {
        hit[key] = value;
    }
    hit
}

/// Pages that are not there: one that another page links to, and one that another site links to.
const MISSING: [&str; 2] = ["/rooms/tower", "/offers/easter"];

/// Elements that are clicked, and how likely each is.
const ELEMENTS: [(&str, u32); 7] = [
    ("#book", 30),
    ("#menu>li>a", 20),
    ("#menu>li:2>a", 14),
    ("#gallery>figure:3>img", 12),
    ("main>section:2>p>a", 10),
    ("#map", 8),
    ("footer>nav>a:2", 6),
];

fn clicks(random: &mut fastrand::Rng, view: &str, seq: u32) -> Value {
    let click = |random: &mut fastrand::Rng| {
        let element = ELEMENTS[weighted(random, ELEMENTS.iter().map(|e| e.1))].0;
        // A picture that does not open is clicked again and again.
        let times = if element.ends_with("img") { random.usize(1..5) } else { 1 };
        let at = json!([
            element,
            random.u32(100..900),
            random.u32(200..800),
            random.u32(50..950),
            random.u32(80..2_400)
        ]);
        std::iter::repeat_n(at, times).collect::<Vec<_>>()
    };
    let clicks: Vec<Value> = (0..random.usize(1..4)).flat_map(|_| click(random)).collect();
    json!({ "k": "c", "i": view, "q": seq, "h": clicks })
}

fn vitals(random: &mut fastrand::Rng, view: &str, seq: u32) -> Value {
    let spread = 0.6 + random.f64() * 1.4;
    let ms = |base: f64| (base * spread).round();
    json!({ "k": "w", "i": view, "q": seq, "m": {
        "LCP": ms(1_700.0), "FCP": ms(1_000.0), "TTFB": ms(320.0), "INP": ms(120.0), "CLS": 0.05 * spread,
    } })
}

/// One visit while it is made.
struct Visit<'a> {
    site: &'a str,
    headers: HeaderMap,
    consent: Option<u8>,
    time_ms: i64,
    hits: &'a mut Vec<Sent>,
}

impl Visit<'_> {
    fn send(&mut self, mut hit: Value) {
        hit["v"] = 1.into();
        hit["s"] = self.site.into();
        if let Some(consent) = self.consent {
            hit["c"] = consent.into();
        }
        self.hits.push(Sent { time_ms: self.time_ms, headers: self.headers.clone(), body: hit.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan, civil::date};
    use sotto_store::goal::Kind;

    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn bodies(seed: u64) -> Vec<String> {
        let mut world = World::new(seed, &GeoDb::default());
        let hits = world.day("k7f3", date(2026, 11, 5), &berlin(), 50.0).unwrap();
        hits.into_iter().map(|h| h.body).collect()
    }

    #[test]
    fn same_seed_gives_the_same_traffic() {
        assert_eq!(bodies(1), bodies(1));
        assert_ne!(bodies(1), bodies(2));
    }

    #[test]
    fn every_hit_is_of_the_native_format() {
        for body in bodies(1) {
            let hits = sotto_collector::pipeline::parse::hits(body.as_bytes());
            assert!(hits.is_ok_and(|hits| hits.len() == 1), "{body}");
        }
    }

    #[test]
    fn any_day_has_every_campaign_with_a_person_who_agreed_to_everything() {
        for query in &SOURCES[CAMPAIGNS] {
            assert!(query.1.contains("utm_campaign="), "{query:?}");
        }
        for browser in &BROWSERS[PEOPLE] {
            assert!(!browser.0.contains("compatible;"), "{browser:?}");
        }
        let mut world = World::new(1, &GeoDb::default());
        // A leap year, and both days around it.
        for day in date(2027, 12, 31).series(1.day()).take(368) {
            let hits = world.day("k7f3", day, &berlin(), 8.0).unwrap();
            for (_, query, _) in &SOURCES[CAMPAIGNS] {
                let kept = hits.iter().any(|hit| {
                    let agent = hit.headers[header::USER_AGENT].to_str().unwrap();
                    let person = BROWSERS[PEOPLE].iter().any(|b| b.0 == agent);
                    person
                        && hit.headers.get(GPC).is_none()
                        && hit.body.contains(r#""c":15"#)
                        && hit.body.contains(query)
                });
                assert!(kept, "{day}: {query}");
            }
        }
    }

    #[test]
    fn visits_begin_on_their_day_also_where_the_clocks_change() {
        let mut world = World::new(1, &GeoDb::default());
        // Summer time begins (23 hours) and ends (25 hours); a leap day.
        for (day, hours) in [(date(2027, 3, 28), 23), (date(2027, 10, 31), 25), (date(2028, 2, 29), 24)] {
            let (zone, start) = (berlin(), day.to_zoned(berlin()).unwrap());
            let end = start.tomorrow().unwrap();
            assert_eq!(start.duration_until(&end).as_hours(), hours);
            let hits = world.day("k7f3", day, &zone, 3_000.0).unwrap();
            let first = hits.iter().filter(|hit| hit.body.contains(r#""q":0"#)).map(|hit| hit.time_ms);
            let (from, to) = (start.timestamp().as_millisecond(), end.timestamp().as_millisecond());
            let inside = first.clone().filter(|ms| (from..to).contains(ms)).count();
            // Visits that begin just before midnight continue after it.
            assert!(inside * 100 > first.count() * 98, "{day}");
            assert!(hits.iter().all(|hit| hit.time_ms >= from), "{day}");
            let last_hour = hits.iter().any(|hit| (to - 3_600_000..to).contains(&hit.time_ms));
            assert!(last_hour, "{day}: visits come until its end");
        }
    }

    #[test]
    fn steps_of_the_funnels_are_pages_and_events_of_the_traffic() {
        let mut world = World::new(1, &GeoDb::default());
        let hits = world.day("k7f3", date(2026, 11, 6), &berlin(), 3_000.0).unwrap();
        for (kind, pattern) in super::super::FUNNELS.iter().flat_map(|(.., steps)| *steps) {
            let found = match kind {
                Kind::Page => PAGES.iter().any(|page| match pattern.strip_suffix('*') {
                    Some(beginning) => page.0.starts_with(beginning),
                    None => page.0 == *pattern,
                }),
                Kind::Event => hits.iter().any(|hit| hit.body.contains(&format!(r#""n":"{pattern}""#))),
            };
            assert!(found, "{pattern}");
        }
    }

    #[test]
    fn choice_follows_the_weights() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[weighted(&mut random, [1, 0, 9].into_iter())] += 1;
        }
        assert!((900..1_100).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }
}
