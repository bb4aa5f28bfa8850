//! Collectors in one process: they agree, part, meet again and forget.

use sotto_schema::{
    id::{SessionId, SiteId},
    policy::Preset,
    site::Site,
};

use super::*;
use crate::{supervise::Backoff, visitor::salts::Salt};

/// Noon, UTC.
const NOON_MS: i64 = 20_000 * DAY_MS + DAY_MS / 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TODAY: Day = Day(20_000);

struct Collector {
    peers: Arc<Peers>,
    local: LocalState,
    supervisor: Supervisor,
    site: SiteId,
    _dir: tempfile::TempDir,
}

impl Collector {
    async fn stop(&self) {
        self.supervisor.stop();
        self.supervisor.ended().await;
        self.peers.ended().await;
    }

    fn commitment(&self, site: SiteId) -> Option<[u8; 32]> {
        self.local.salts.get(site, TODAY).map(|salt| salt.commitment())
    }
}

fn listeners(count: usize) -> Vec<std::net::TcpListener> {
    (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect()
}

fn collector(site: &Site, index: usize, addresses: &[String]) -> Collector {
    let dir = tempfile::tempdir().unwrap();
    let rules = RuleBook::open(dir.path().join("sites.json"));
    rules.replace(vec![site.clone()]).unwrap();
    let local = LocalState {
        salts: Arc::new(Salts::in_memory()),
        sessions: Arc::new(Sessions::new(1_000)),
        views: Arc::default(),
        objections: Arc::default(),
        rules: Arc::new(rules),
        metrics: Arc::default(),
        clock: Clock::fixed(NOON_MS),
    };
    let others = addresses.iter().enumerate().filter(|(n, _)| *n != index);
    let settings = Settings {
        name: format!("c{index}"),
        others: others.map(|(n, address)| (format!("c{n}"), address.clone())).collect(),
        key: Zeroizing::new([7; KEY_BYTES]),
    };
    let peers = Peers::new(settings, local.clone());
    let supervisor = Supervisor::new(Arc::default(), Backoff::default());
    Collector { peers, local, supervisor, site: site.id, _dir: dir }
}

fn start(collector: &Collector, listener: std::net::TcpListener) {
    listener.set_nonblocking(true).unwrap();
    collector.peers.start(listener, &collector.supervisor);
}

/// `count` collectors that know the same site, not started.
fn unstarted(count: usize) -> (Vec<Collector>, Vec<std::net::TcpListener>) {
    let listeners = listeners(count);
    let addresses: Vec<String> =
        listeners.iter().map(|l| format!("127.0.0.1:{}", l.local_addr().unwrap().port())).collect();
    let site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
    ((0..count).map(|n| collector(&site, n, &addresses)).collect(), listeners)
}

async fn started(count: usize) -> Vec<Collector> {
    let (collectors, listeners) = unstarted(count);
    for (collector, listener) in collectors.iter().zip(listeners) {
        start(collector, listener);
    }
    for collector in &collectors {
        assert!(collector.peers.meet(Duration::from_secs(30)).await);
    }
    collectors
}

async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn collectors_that_need_a_salt_at_once_have_the_same_one() {
    let collectors = started(4).await;
    let site = collectors[0].site;
    futures_util::future::join_all(collectors.iter().map(|c| c.peers.agree(site, TODAY))).await;
    let first = collectors[0].commitment(site);
    assert!(first.is_some());
    for collector in &collectors {
        assert_eq!(collector.commitment(site), first);
        assert_eq!(collector.local.metrics.salts_alone.load(Ordering::Relaxed), 0);
        assert_eq!(collector.local.metrics.salts_replaced.load(Ordering::Relaxed), 0);
        let births = collector.local.salts.take_entries().iter().filter(|e| e.born).count();
        assert_eq!(births, 1, "each collector's copy is born once");
    }
    for collector in &collectors {
        collector.stop().await;
    }
}

#[tokio::test]
async fn objection_holds_at_every_collector_also_at_one_that_starts_later() {
    let (collectors, mut listeners) = unstarted(3);
    let late = listeners.pop().unwrap();
    for (collector, listener) in collectors.iter().zip(listeners) {
        start(collector, listener);
    }
    let site = collectors[0].site;
    wait_for("the first two to meet", || collectors[..2].iter().all(|c| c.peers.count().1 == 1)).await;
    assert!(collectors[0].local.objections.note(site, TODAY, VisitorKey(42)).unwrap());
    collectors[0].peers.tell_objection(site, TODAY, VisitorKey(42));
    wait_for("the objection", || collectors[1].local.objections.contains(site, TODAY, VisitorKey(42))).await;
    start(&collectors[2], late);
    wait_for("all objections", || collectors[2].local.objections.contains(site, TODAY, VisitorKey(42))).await;
    // One of a day whose key is dead is nothing to keep.
    assert!(collectors[0].local.objections.note(site, Day(TODAY.0 - 2), VisitorKey(43)).unwrap());
    collectors[0].peers.tell_objection(site, Day(TODAY.0 - 2), VisitorKey(43));
    collectors[0].peers.tell_objection(site, TODAY, VisitorKey(44));
    wait_for("what was told after it", || {
        collectors[1].local.objections.contains(site, TODAY, VisitorKey(44))
    })
    .await;
    assert!(!collectors[1].local.objections.contains(site, Day(TODAY.0 - 2), VisitorKey(43)));
    for collector in &collectors {
        collector.stop().await;
    }
}

#[tokio::test]
async fn collector_that_starts_later_takes_over_salts_and_visits() {
    let (collectors, mut listeners) = unstarted(2);
    let late = listeners.pop().unwrap();
    start(&collectors[0], listeners.pop().unwrap());
    let site = collectors[0].site;
    collectors[0].peers.agree(site, TODAY).await;
    assert_eq!(collectors[0].local.metrics.salts_alone.load(Ordering::Relaxed), 1, "nobody could be asked");
    let sessions = &collectors[0].local.sessions;
    let session = sessions.find(site, VisitorKey(42), None, NOON_MS - 1, true);
    sessions.note(site, VisitorKey(42), session, NOON_MS - 1);
    start(&collectors[1], late);
    wait_for("the visit", || collectors[1].local.sessions.count() == 1).await;
    assert_eq!(collectors[1].local.sessions.find(site, VisitorKey(42), None, NOON_MS + 1_000, true), session);
    assert!(collectors[0].commitment(site).is_some());
    assert_eq!(collectors[1].commitment(site), collectors[0].commitment(site));
    for collector in &collectors {
        collector.stop().await;
    }
}

#[tokio::test]
async fn collectors_that_were_apart_end_with_one_salt_and_destroy_the_other() {
    let (collectors, listeners) = unstarted(2);
    let site = collectors[0].site;
    for collector in &collectors {
        collector.peers.agree(site, TODAY).await;
        assert_eq!(collector.local.metrics.salts_alone.load(Ordering::Relaxed), 1);
    }
    let best = collectors.iter().map(|c| c.commitment(site)).min().flatten();
    for (collector, listener) in collectors.iter().zip(listeners) {
        start(collector, listener);
    }
    wait_for("one salt", || collectors.iter().all(|c| c.commitment(site) == best)).await;
    let replaced: u64 =
        collectors.iter().map(|c| c.local.metrics.salts_replaced.load(Ordering::Relaxed)).sum();
    assert_eq!(replaced, 1);
    let died: usize =
        collectors.iter().map(|c| c.local.salts.take_entries().iter().filter(|e| !e.born).count()).sum();
    assert_eq!(died, 1, "the ledger is told of the one that was destroyed");
    for collector in &collectors {
        collector.stop().await;
    }
}

#[tokio::test]
async fn salt_of_a_day_that_is_over_is_not_taken_over() {
    let (collectors, _listeners) = unstarted(1);
    let peers = &collectors[0].peers;
    let site = collectors[0].site;
    for (day, taken) in [(TODAY.0 - 1, false), (TODAY.0, true), (TODAY.0 + 1, true), (TODAY.0 + 2, false)] {
        assert_eq!(peers.is_current(site, Day(day)), taken, "{day}");
    }
    assert!(!peers.is_current(SiteId(site.0 + 1), TODAY), "a site that is not known has no day");
    let (replies, _answers) = mpsc::channel(1);
    let dead = Day(TODAY.0 - 1);
    peers.hear(Record::Salt(site, dead, Salt::from_bytes([1; 32])), None, &replies);
    assert!(collectors[0].local.salts.get(site, dead).is_none());
}

#[tokio::test]
async fn hit_is_told_to_the_others_with_its_visit_and_page() {
    let collectors = started(3).await;
    let event = Event {
        site: collectors[0].site,
        visitor: VisitorKey(42),
        session: SessionId(43),
        view: ViewId(45),
        time: sotto_schema::rowbinary::Millis(NOON_MS),
        hostname: "a.example".into(),
        path: "/x".into(),
        ..Event::default()
    };
    collectors[0].peers.tell(&event, ViewId(44));
    for collector in &collectors[1..] {
        wait_for("the page", || collector.local.views.page(event.site, ViewId(44)).is_some()).await;
        assert_eq!(collector.local.views.page(event.site, ViewId(44)).unwrap().path, "/x");
        assert_eq!(
            collector.local.sessions.find(event.site, VisitorKey(42), None, NOON_MS + 1, false),
            SessionId(43)
        );
    }
    for collector in &collectors {
        collector.stop().await;
    }
}

#[tokio::test]
async fn stranger_without_the_key_learns_nothing_and_disturbs_nobody() {
    let (collectors, mut listeners) = unstarted(1);
    let listener = listeners.pop().unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    start(&collectors[0], listener);
    collectors[0].peers.agree(collectors[0].site, TODAY).await;
    assert!(channel::call(&address, &[8; KEY_BYTES]).await.is_err());
    let (mut sender, mut receiver) = channel::call(&address, &[7; KEY_BYTES]).await.unwrap();
    let mut frame = Vec::new();
    message::write_want(&Want { id: 1, site: collectors[0].site, day: TODAY, make: false }, &mut frame);
    sender.send(&frame).await.unwrap();
    let answer = receiver.receive().await.unwrap();
    assert!(matches!(message::read(&mut answer.as_slice()), Some(Record::Salt(..))));
    collectors[0].stop().await;
}

#[test]
fn every_collector_has_its_turn_to_make_salts() {
    let names = ["c1", "c2", "c3"];
    let mut turns = [0; 3];
    for site in 0..300 {
        let first = (0..3).min_by_key(|n| rank(SiteId(site), TODAY, names[*n])).unwrap();
        turns[first] += 1;
    }
    assert!(turns.iter().all(|n| (60..=140).contains(n)), "{turns:?}");
}

#[test]
fn key_is_read_from_a_private_file_of_64_digits_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    for (text, mode, ok) in [
        ("0f".repeat(32), 0o600, true),
        ("0f".repeat(32) + "\n", 0o400, true),
        ("0f".repeat(32), 0o640, false),
        ("0f".repeat(31), 0o600, false),
        ("0f".repeat(33), 0o600, false),
        ("0g".repeat(32), 0o600, false),
    ] {
        std::fs::write(&path, &text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = read_key(&path);
        assert_eq!(read.as_ref().is_ok_and(|key| **key == [0x0f; 32]), ok, "{text:?} {mode:o}");
        if let Err(error) = read {
            assert!(!error.to_string().contains("0f0f"), "the key is not shown: {error}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
