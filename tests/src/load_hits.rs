//! Requests as browsers behind a proxy send them: varied pages, referrers, devices and addresses, each with a
//! placeholder for the number of its hit.

/// Browsers with their share of requests: user agent with `{}` for the version, versions, brands of the client hint.
const BROWSERS: &[(&str, std::ops::Range<u32>, &str, u32)] = &[
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        128..143,
        "\"Windows\"",
        30,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
        128..143,
        "\"Android\"",
        28,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
        1..8,
        "",
        24,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{} Safari/605.1.15",
        1..7,
        "",
        8,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0", 120..145, "", 3),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{}.0) Gecko/20100101 Firefox/{}.0", 120..145, "", 4),
    (
        "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{}.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        24..29,
        "\"Android\"",
        3,
    ),
];

const REFERRERS: &[&str] = &[
    "",
    "",
    "",
    "https://www.google.com/",
    "https://www.google.com/",
    "https://www.bing.com/",
    "https://duckduckgo.com/",
    "https://l.instagram.com/",
    "https://m.facebook.com/",
    "https://t.co/abc",
    "https://chatgpt.com/",
    "https://www.reddit.com/r/rust/comments/1abcd/some_title/",
    "https://news.example.org/2026/11/a-list-of-tools",
];

const TAGS: &[&str] = &[
    "",
    "",
    "",
    "",
    "?utm_source=newsletter&utm_medium=email&utm_campaign=november",
    "?gclid=Cj0KCQiA",
    "?page=2&sort=price",
];

const SECTIONS: &[&str] = &["", "rooms", "prices", "blog/2026/11", "products", "de/kontakt", "search"];

const LANGUAGES: &[&str] =
    &["de-DE,de;q=0.9,en;q=0.8", "en-US,en;q=0.9", "fr-FR,fr;q=0.9", "en-GB,en;q=0.9,de;q=0.7", "es"];

/// Length of a page view's id in these requests.
const ID_LEN: usize = 11;
/// The number in its page view of the hit with the number 0.
const FIRST_SEQ: u32 = 10_000;
/// How many hits have different ones: all have five digits.
const SEQS: u64 = 90_000;

/// A request with a placeholder for a number.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    id_at: usize,
    seq_at: usize,
}

impl Template {
    /// One of very many different requests for `site`; the same `seed` gives the same one.
    pub fn new(site: &str, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let body = body(site, &mut random);
        let (agent, platform) = browser(&mut random);
        let referer = "https://a.example/";
        let address = [random.u8(60..220), random.u8(..), random.u8(..), random.u8(1..255)]
            .map(|n| n.to_string())
            .join(".");
        let mut head = format!(
            "POST /e HTTP/1.1\r\nHost: stats.example\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nUser-Agent: {agent}\r\nAccept: */*\r\nOrigin: https://a.example\r\n\
             Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: empty\r\nReferer: {referer}\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: {}\r\nX-Forwarded-For: {address}\r\n",
            body.len(),
            LANGUAGES[random.usize(..LANGUAGES.len())],
        );
        if !platform.is_empty() {
            let mobile = if platform.contains("Android") { "?1" } else { "?0" };
            head += &format!(
                "sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
                 sec-ch-ua-mobile: {mobile}\r\nsec-ch-ua-platform: {platform}\r\n"
            );
        }
        let id_at = head.len() + 2 + body.find(&"0".repeat(ID_LEN)).expect("the body has room for a number");
        let seq_at = head.len() + 2 + body.find(&FIRST_SEQ.to_string()).expect("and for another");
        Self { bytes: format!("{head}\r\n{body}").into_bytes(), id_at, seq_at }
    }

    /// The request with this number in it.
    pub fn numbered(&mut self, mut number: u64) -> &[u8] {
        let seq = seq_of(number).to_string();
        self.bytes[self.seq_at..self.seq_at + seq.len()].copy_from_slice(seq.as_bytes());
        for place in self.bytes[self.id_at..self.id_at + ID_LEN].iter_mut().rev() {
            *place = b"0123456789abcdef"[(number % 16) as usize];
            number /= 16;
        }
        &self.bytes
    }
}

/// The number in its page view under which the hit with this number is stored; 90,000 hits later it comes again.
#[allow(clippy::cast_possible_truncation)] // Less than 90,000.
pub fn seq_of(number: u64) -> u32 {
    FIRST_SEQ + (number % SEQS) as u32
}

/// A body: of ten hits, six are pageviews, three engagement reports, one an interaction.
fn body(site: &str, random: &mut fastrand::Rng) -> String {
    let id = "0".repeat(ID_LEN);
    match random.u8(..10) {
        0..6 => {
            let section = SECTIONS[random.usize(..SECTIONS.len())];
            let page = if section.is_empty() {
                String::new()
            } else {
                format!("{section}/page-{}", random.u32(..300))
            };
            let (tags, referrer) =
                (TAGS[random.usize(..TAGS.len())], REFERRERS[random.usize(..REFERRERS.len())]);
            let width = [390, 412, 768, 1366, 1440, 1920][random.usize(..6)];
            format!(
                r#"{{"v":1,"s":"{site}","k":"p","i":"{id}","q":{FIRST_SEQ},"c":15,"u":"https://a.example/{page}{tags}","r":"{referrer}","w":{width}}}"#
            )
        }
        6..9 => format!(
            r#"{{"v":1,"s":"{site}","k":"e","i":"{id}","q":{FIRST_SEQ},"c":15,"e":{},"d":{}}}"#,
            random.u32(1_000..90_000),
            random.u32(5..=100)
        ),
        _ => format!(
            r#"{{"v":1,"s":"{site}","k":"x","i":"{id}","q":{FIRST_SEQ},"c":15,"n":"Sign up","p":{{"plan":"pro","seats":{}}}}}"#,
            random.u32(1..20)
        ),
    }
}

fn browser(random: &mut fastrand::Rng) -> (String, &'static str) {
    let mut left = random.u32(..BROWSERS.iter().map(|b| b.3).sum::<u32>());
    for (agent, versions, platform, share) in BROWSERS {
        if left < *share {
            return (agent.replace("{}", &random.u32(versions.clone()).to_string()), platform);
        }
        left -= share;
    }
    unreachable!("a share of the sum belongs to one of them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbered_requests_differ_only_in_their_number() {
        let mut template = Template::new("k", 7);
        let texts: BTreeSet<Vec<u8>> = (0..1_000).map(|n| template.numbered(n).to_vec()).collect();
        assert_eq!(texts.len(), 1_000);
        let text = String::from_utf8(template.numbered(0xabc).to_vec()).unwrap();
        assert!(text.contains(r#""i":"00000000abc","q":12748,"#), "{text}");
    }

    #[test]
    fn requests_of_different_seeds_are_varied() {
        let agents: BTreeSet<String> = (0..512)
            .map(|seed| String::from_utf8(Template::new("k", seed).bytes).unwrap())
            .map(|text| text.lines().find(|l| l.starts_with("User-Agent")).unwrap().to_owned())
            .collect();
        assert!(agents.len() > 50, "{}", agents.len());
    }
}
