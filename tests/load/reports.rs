//! `make bench-reports`: every report and page on sites of one to fifty million events, beside its goal.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{ToSpan, civil::Date};
use sotto_store::db::Access;
use sotto_tests::{
    Answer, Sotto,
    load::{self, Load, Target},
    request, wait_for_at_most,
};

use crate::process::memory_mb;

/// Days are settled as soon as they are filled, and released soon after.
const OFTEN: &str = "[reports]\nsettle_interval = \"2s\"\n[archive]\ninterval = \"1m\"\n";
const ZONE: &str = "Europe/Berlin";
/// How often each page is asked for.
const TIMES: usize = 12;
/// Hits of ten visits, on average, in `fill.sql`.
const HITS_OF_TEN_VISITS: u64 = 44;
/// How long a query waits whose memory is in use.
const MEMORY_WAIT: Duration = Duration::from_secs(120);
/// Events that are made up by one query, about.
const EVENTS_AT_ONCE: u64 = 40_000;
const READERS: usize = 8;
/// Goals of the site.
const GOALS: [(&str, [&str; 2]); 3] = [
    ("A page", ["--page", "/docs/page-1"]),
    ("Pages", ["--page", "/docs/*"]),
    ("An event", ["--event", "Sign up"]),
];
/// Steps of a funnel of the site.
const FUNNEL: [&str; 3] = ["/docs/*", "/docs/page-1", "event:Sign up"];
const HITS_PER_SECOND: f64 = 2_000.0;

/// A site to be measured.
pub struct Size {
    /// How many events, about.
    pub events: u64,
    /// In how many days, today included.
    pub days: i32,
}

impl Size {
    /// Its first day.
    pub fn first_day(&self) -> Date {
        let today = sotto_schema::clock::now().in_tz(ZONE).expect("a zone").date();
        today.saturating_sub((self.days - 1).days())
    }
}

/// Runs all sizes, or those of so many events.
pub fn run(events: Option<u64>) {
    let all = [
        Size { events: 200_000, days: 90 },
        Size { events: 1_000_000, days: 90 },
        Size { events: 10_000_000, days: 90 },
        Size { events: 10_000_000, days: 730 },
        Size { events: 50_000_000, days: 90 },
    ];
    for size in all.iter().filter(|size| events.is_none_or(|events| size.events == events)) {
        measure(size);
    }
}

/// A Sotto with a filled site, and the cookies of readers who are signed in.
pub struct Place {
    /// The program.
    pub sotto: Sotto,
    /// The site's key.
    pub key: String,
    /// The number of its funnel.
    funnel: String,
    writer: Access,
    cookies: Vec<String>,
}

impl Place {
    /// Starts it on an empty directory, with a site that keeps raw events for so many days.
    pub fn new(config: &str, kept: i32) -> Self {
        let sotto = Sotto::start_as_configured(config);
        let key = sotto.add_site("a.example", &["--time-zone", ZONE, "--retention-days", &kept.to_string()]);
        for (name, completed) in GOALS {
            sotto.run(&["goal", "add", &key, name, completed[0], completed[1]]);
        }
        let steps = FUNNEL.iter().flat_map(|step| ["--step", *step]);
        sotto.run(&["funnel", "add", &key, "A funnel"].into_iter().chain(steps).collect::<Vec<_>>());
        let listed = sotto.run(&["funnel", "list", &key, "--json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let funnel = listed[0]["id"].as_str().expect("the funnel").to_owned();
        let cookies = (0..READERS).map(|n| sign_in(&sotto, &format!("reader{n}@example.org"))).collect();
        let text = fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).expect("embedded");
        let endpoint: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let writer = serde_json::from_value(endpoint["writer"].clone()).expect("the writer");
        Self { sotto, key, funnel, writer, cookies }
    }

    /// Asks ClickHouse; again where its memory is in use, as by jobs that settle what was filled.
    pub fn ask(&self, sql: &str, parameters: &[(&str, String)]) -> String {
        let answer = wait_for_at_most(MEMORY_WAIT, "memory for a query", || {
            let answer = self.ask_once(sql, parameters);
            let waits = answer.status == 500 && answer.text().contains("(total) memory limit");
            (!waits).then_some(answer)
        });
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().trim().to_owned()
    }

    fn ask_once(&self, sql: &str, parameters: &[(&str, String)]) -> Answer {
        let mut url = url::Url::parse(&self.writer.url).expect("a URL");
        url.query_pairs_mut()
            .append_pair("database", &self.writer.database)
            .extend_pairs(parameters.iter().map(|(name, value)| (format!("param_{name}"), value)));
        let user = [
            ("x-clickhouse-user", self.writer.user.as_str()),
            ("x-clickhouse-key", self.writer.password.as_str()),
        ];
        request("POST", url.as_str(), &user, sql.as_bytes())
    }

    /// Fills the site's days.
    pub fn fill(&self, size: &Size) {
        let key = [("key", self.key.clone())];
        let site = self.ask("SELECT id FROM sites FINAL WHERE key = {key:String}", &key);
        let today = sotto_schema::clock::now().in_tz(ZONE).expect("a zone").date();
        let of_day = size.events / size.days.unsigned_abs() as u64;
        let (visits, anonymous) = (of_day * 9 / HITS_OF_TEN_VISITS, of_day / 10);
        // What is inserted at once must fit into the memory that one query may take.
        let parts = of_day.div_ceil(EVENTS_AT_ONCE);
        for day in size.first_day().series(1.day()).take_while(|day| *day <= today) {
            let (begin, seconds) = if day < today { (25_200, 51_840) } else { (0, so_far()) };
            for part in 0..parts {
                self.ask(
                    include_str!("reports/fill.sql"),
                    &[
                        ("site", site.clone()),
                        ("day", day.to_string()),
                        ("part", part.to_string()),
                        ("parts", parts.to_string()),
                        ("visits", visits.to_string()),
                        ("anonymous", anonymous.to_string()),
                        ("begin", begin.to_string()),
                        ("seconds", seconds.to_string()),
                        ("tz", ZONE.to_owned()),
                        ("kept", "760".to_owned()),
                    ],
                );
            }
        }
    }

    fn wait_until_settled(&self, size: &Size) {
        let of_day = size.events / size.days.unsigned_abs() as u64;
        // A day as large as these is settled up to an hour before it is over.
        let finished = (size.days - 1).to_string();
        wait_for_at_most(Duration::from_secs(3_600), "all finished days to be settled", || {
            let settled = "SELECT uniq(day) FROM settled_days WHERE toUInt32(until) = 0 AND NOT month";
            (self.ask(settled, &[]) == finished).then_some(())
        });
        // All that is over is released, also days without events, beside which nothing is to be measured.
        wait_for_at_most(Duration::from_secs(3_600), "all days to be released", || {
            let released = self.ask("SELECT uniq(day) FROM archive WHERE period = 'day'", &[]);
            (released.parse::<i32>().unwrap_or(0) >= size.days + 29).then_some(())
        });
        if of_day > 40_000 && so_far() > 2 * 3_600 {
            wait_for_at_most(Duration::from_secs(600), "today to be settled up to an hour", || {
                (self.ask("SELECT count() FROM settled_days WHERE toUInt32(until) > 0", &[]) != "0")
                    .then_some(())
            });
        }
    }

    /// Rows that ClickHouse has read since it was started.
    fn rows_read(&self) -> u64 {
        let sql = "SELECT sum(value) FROM system.events WHERE event = 'SelectedRows'";
        self.ask(sql, &[]).parse().unwrap_or(0)
    }

    /// ClickHouse's memory at most since the last call, in megabytes, its mapped files included.
    fn peak_mb(&self) -> f64 {
        let Some(pid) = self.sotto.clickhouse_pids().first().copied() else { return f64::NAN };
        let peak = memory_mb(pid, "VmHWM");
        // Begins anew (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("its own process");
        peak
    }

    /// Milliseconds for one page, or the status of a refusal.
    fn page(&self, reader: usize, path: &str) -> Result<f64, u16> {
        let started = Instant::now();
        let answer =
            request("GET", &format!("{}{path}", self.sotto.url), &[("cookie", &self.cookies[reader])], b"");
        let ms = started.elapsed().as_secs_f64() * 1e3;
        if answer.status == 200 { Ok(ms) } else { Err(answer.status) }
    }
}

/// Seconds of today that are over, less those in which the last visits go on.
fn so_far() -> i64 {
    let now = sotto_schema::clock::now().in_tz(ZONE).expect("a zone");
    let midnight = now.start_of_day().expect("a day");
    (now.timestamp().as_second() - midnight.timestamp().as_second() - 900).max(60)
}

/// Makes a user and returns their cookie.
fn sign_in(sotto: &Sotto, email: &str) -> String {
    let (ok, out) = sotto.try_run(&["user", "add", email], "correct horse battery staple");
    assert!(ok, "{out}");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    let form = format!("email={}&password=correct+horse+battery+staple", email.replace('@', "%40"));
    let answer = request("POST", &format!("{}/sign-in", sotto.url), &headers, form.as_bytes());
    answer.header("set-cookie").expect("signed in").split(';').next().unwrap_or_default().to_owned()
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Addresses of pages, and the milliseconds that each may take.
fn pages(key: &str, funnel: &str, size: &Size) -> Vec<(String, u32)> {
    let [overview, list] = [format!("/s/{key}"), format!("/s/{key}/list")];
    let small = size.events < 500_000;
    let page_goal = if small { 40 } else { 100 };
    let longest = if size.days > 400 { "p=custom&from=LONG" } else { "p=90d" };
    let first =
        sotto_schema::clock::now().in_tz(ZONE).expect("a zone").date().saturating_sub((size.days - 1).days());
    let today = sotto_schema::clock::now().in_tz(ZONE).expect("a zone").date();
    let longest = longest.replace("LONG", &format!("{first}&to={today}"));
    let mut pages: Vec<(String, u32)> = vec![
        (overview.clone(), page_goal),
        (format!("{overview}?cmp=none"), page_goal),
        (format!("{overview}?p=7d"), page_goal),
        (format!("{overview}?p=90d"), page_goal),
        (format!("{overview}?{longest}"), page_goal),
        (format!("{overview}?p=today"), page_goal),
        (format!("{overview}?p=yesterday"), page_goal),
        (format!("{overview}?{longest}&f=country:is:DE"), 600),
        (format!("{overview}?{longest}&f=device:is:desktop"), 600),
        (format!("{overview}?{longest}&f=source:is:Source+2"), 600),
        (format!("{overview}?{longest}&f=page:is:/docs/page-1"), 600),
        (format!("{overview}?{longest}&f=hostname:is:big.example"), 600),
    ];
    for by in [
        "page",
        "entry_page",
        "source",
        "referrer",
        "utm_campaign",
        "utm_term",
        "country",
        "city",
        "network",
        "browser_version",
        "event",
        "outbound",
        "hostname",
    ] {
        pages.push((format!("{list}/{by}?{longest}"), 150));
        pages.push((format!("{list}/{by}?{longest}&f=country:is:DE"), 300));
    }
    pages.push((format!("{overview}/goals?{longest}&cmp=none"), 300));
    for below in ["vitals", "vitals/day", "events", "reading", "clicks", "clicks?f=page:is:/docs/page-1"] {
        let mark = if below.contains('?') { '&' } else { '?' };
        pages.push((format!("{overview}/{below}{mark}{longest}"), 300));
        pages.push((format!("{overview}/{below}{mark}{longest}&f=country:is:DE"), 300));
    }
    for path in ["paths".to_owned(), "funnels".to_owned(), format!("funnels/{funnel}")] {
        pages.push((format!("{overview}/{path}?{longest}&cmp=none"), 300));
        pages.push((format!("{overview}/{path}?{longest}&cmp=none&f=country:is:DE"), 300));
    }
    pages.push((format!("{overview}/consent?{longest}"), 150));
    pages.push((format!("{overview}/quality?{longest}"), 150));
    pages
}

/// Fills a site and leaves it running, so that pages of that size can be looked at and queries tried.
pub fn site(size: &Size) {
    let place = Place::new(OFTEN, size.days + 30);
    place.fill(size);
    place.wait_until_settled(size);
    println!("{}/s/{}", place.sotto.url, place.key);
    println!("cookie: {}", place.cookies[0]);
    println!("ClickHouse: {}", place.sotto.data().join("clickhouse/endpoint.json").display());
    println!("\"hits\" measures hits beside readers; anything else ends it.");
    for line in std::io::stdin().lines() {
        match line.as_deref() {
            Ok("hits") => beside_hits(&place, &format!("/s/{}", place.key)),
            _ => break,
        }
    }
}

fn measure(size: &Size) {
    let place = Place::new(OFTEN, size.days + 30);
    let started = Instant::now();
    place.fill(size);
    place.wait_until_settled(size);
    let filled = started.elapsed().as_secs_f64();
    let events = place.ask("SELECT count() FROM events", &[]);
    println!("\n{events} events in {} days; filled and settled in {filled:.0} s", size.days);
    let tables = "SELECT table, sum(rows), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active
        AND (table = 'events' OR table LIKE 'settled%') AND database = currentDatabase() GROUP BY table ORDER BY table";
    println!("{}", place.ask(tables, &[]));
    println!("milliseconds, rows that ClickHouse read for one page, and its memory at most");
    println!("{:>8} {:>8} {:>8} {:>8} {:>11} {:>8}", "first", "p50", "p95", "goal", "rows", "MB");
    let overview = format!("/s/{}", place.key);
    let mut highest = 0.0_f64;
    for (path, goal) in &pages(&place.key, &place.funnel, size) {
        let mut times = Vec::new();
        let (rows, mut peak) = (place.rows_read(), place.peak_mb());
        for _ in 0..TIMES {
            match place.page(0, path) {
                Ok(ms) => times.push(ms),
                Err(status) => println!("ERROR {status}   {path}"),
            }
        }
        let first = times.first().copied().unwrap_or(f64::NAN);
        let rows = (place.rows_read() - rows) / TIMES as u64;
        (highest, peak) = (highest.max(peak), place.peak_mb());
        times.sort_by(f64::total_cmp);
        let (p50, p95) = (percentile(&times, 50), percentile(&times, 95));
        let missed = if p95 <= f64::from(*goal) { ' ' } else { '*' };
        println!("{first:>8.0} {p50:>8.0} {p95:>8.0} {goal:>7}{missed} {rows:>11} {peak:>8.0}   {path}");
        highest = highest.max(peak);
    }
    beside_hits(&place, &overview);
    let peak = highest.max(place.peak_mb());
    println!(
        "ClickHouse's memory at most: {peak:.0} MB, its mapped files included (limit 600 MB without them)"
    );
}

/// Eight readers at once while hits come in.
fn beside_hits(place: &Place, overview: &str) {
    let time = Duration::from_secs(10);
    let hits = |first: u64| Load {
        target: Target::new(&place.sotto.url),
        site: place.key.clone(),
        connections: 64,
        rate: Some(HITS_PER_SECOND),
        time,
        threads: 1,
        first,
        reconnect: false,
    };
    let alone = load::run(&hits(1), &Arc::new(AtomicBool::new(false)));
    let over = AtomicBool::new(false);
    let failed = AtomicUsize::new(0);
    let ms = |sent: &load::Sent| sent.quantile_ms(0.99);
    let (beside, mut times) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|n| {
                let path = [format!("{overview}?p=90d"), overview.to_owned()][n % 2].clone();
                let (over, failed) = (&over, &failed);
                scope.spawn(move || {
                    let mut times = Vec::new();
                    while !over.load(Ordering::Acquire) {
                        let started = Instant::now();
                        match place.page(n, &path) {
                            Ok(ms) => times.push(ms),
                            Err(status) => {
                                println!(
                                    "ERROR {status} after {:.0} ms",
                                    started.elapsed().as_secs_f64() * 1e3
                                );
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    times
                })
            })
            .collect();
        let beside = load::run(&hits(1_000_000), &Arc::new(AtomicBool::new(false)));
        over.store(true, Ordering::Release);
        let times: Vec<f64> = readers.into_iter().flat_map(|r| r.join().expect("a reader")).collect();
        (beside, times)
    });
    times.sort_by(f64::total_cmp);
    println!(
        "{READERS} readers beside {HITS_PER_SECOND:.0} hits/s for {} s: {} pages, p50 {:.0} ms, p95 {:.0} ms, {} failed (goal 0)",
        time.as_secs(),
        times.len(),
        percentile(&times, 50),
        percentile(&times, 95),
        failed.load(Ordering::Relaxed),
    );
    println!(
        "hits' p99 from when they were due: {:.1} ms beside readers, {:.1} ms without (goal <= 2x): {:.1}x",
        ms(&beside),
        ms(&alone),
        ms(&beside) / ms(&alone),
    );
}
