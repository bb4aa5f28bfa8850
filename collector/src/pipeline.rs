//! Everything that happens to a hit between its bytes and its event. Pure and synchronous: same arguments, same
//! outcome. No task, socket, file or clock is reached from here; salt, time and site rules are arguments. Visits and
//! page views are read; what a hit changes in them comes back as a value ([`Processed::apply`]).
//!
//! **Promises.** Every hit ends in exactly one outcome. No field outside the visitor's allowed categories leaves
//! [`process`]. The address and the user agent end here. It does not know in which format a hit came or where it goes.

use sotto_geoip::{GeoDb, NetworkKind};
use sotto_schema::{
    day::Day,
    event::{Event, Field, FieldSet, Kind, Screen, Tier},
    id::{ReturningId, ViewId, VisitorKey},
    outcome::DropReason,
    policy::{Category, Consent, Minimal, Rule, State, fields_under},
    rowbinary::Millis,
};

use crate::{
    config::sites::rules::Rules,
    visitor::{
        client_ip::ClientIp, key::visitor_key, page_view_cache::PageViewCache, salts::Salt,
        sessions::Sessions,
    },
};

pub mod bots;
pub mod device;
pub mod dropin;
pub mod hints;
pub mod hit;
pub mod parse;
pub mod referrer;
pub mod sanitise;

use hit::{Headers, Hit};

/// What [`process`] needs to know besides the hit.
pub struct HitContext<'a> {
    /// When the hit happened, in milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// The site's day at that time.
    pub day: Day,
    /// Rules of the hit's site.
    pub rules: &'a Rules,
    /// Salt of that day; `None` when it is dead, which leaves the hit without a visitor.
    pub salt: Option<&'a Salt>,
    /// Salt of the day before while it is alive.
    pub salt_before: Option<&'a Salt>,
    /// Visits of the last half hour.
    pub sessions: &'a Sessions,
    /// Pages of recent page views.
    pub views: &'a PageViewCache,
    /// Places and networks.
    pub geo: &'a GeoDb,
    /// Knows browsers and crawlers.
    pub classifier: &'a device::Classifier,
}

/// The road of a hit.
///
/// # Errors
/// Why the hit is not kept; that is a choice, not a failure.
pub fn process(
    hit: Hit,
    headers: &Headers<'_>,
    client: &ClientIp,
    at: &HitContext<'_>,
) -> Result<Processed, DropReason> {
    let page = sanitise::page(&hit.url);
    if let Some(page) = &page
        && !at.rules.site.owns(&page.hostname)
    {
        return Err(DropReason::ForeignHostname);
    }
    if page.is_none() && hit.kind == Kind::Pageview {
        return Err(DropReason::InvalidPayload);
    }
    let device = at.classifier.classify(headers);
    let located = client.locate(at.geo);
    let network = located.network.as_ref().map_or(NetworkKind::Unknown, |n| n.kind);
    let bot = device.bot.or_else(|| bots::of_hit(&hit));
    if let Some(reason) = bot.or_else(|| bots::of_network(network, headers)) {
        return Err(reason);
    }
    let gate = Gate::open(&hit, headers, at.rules)?;

    let mut event = Event {
        site: at.rules.site.id,
        day: at.day,
        expires: Day(at.day.0.saturating_add(at.rules.site.retention_days)),
        time: Millis(gate.time_ms(at)),
        kind: hit.kind,
        tier: gate.tier,
        granted: gate.consent.granted(),
        refused: gate.consent.refused(),
        gpc: headers.gpc,
        device: device.info.device,
        browser: device.info.browser,
        browser_version: device.info.browser_version,
        os: device.info.os,
        os_version: device.info.os_version,
        screen: screen(hit.width),
        language: language(headers.accept_language),
        seq: hit.seq,
        engaged_ms: hit.engaged_ms,
        scroll: hit.scroll,
        interactive: hit.interactive,
        lcp_ms: hit.vitals.lcp_ms,
        fcp_ms: hit.vitals.fcp_ms,
        inp_ms: hit.vitals.inp_ms,
        ttfb_ms: hit.vitals.ttfb_ms,
        cls_milli: hit.vitals.cls_milli,
        returning: returning(&hit, gate.consent),
        ..Event::default()
    };
    if let Some(place) = located.place {
        (event.country, event.region, event.city) = (place.country, place.region, place.city);
    }
    if let Some(network) = located.network {
        (event.asn, event.network) = (network.asn, network.name);
        event.network_kind = network_kind(network.kind);
    }
    if let Some(page) = page {
        attribute(&mut event, &page, &hit, gate.allowed)?;
        (event.hostname, event.path) = (page.hostname, page.path);
    }
    let view = hit.view;
    let before = identify(&mut event, headers, client, at, gate.allowed);
    event.view = view_under(event.visitor, view);
    if event.path.is_empty() && gate.allowed.contains(Field::View) {
        take_page_of_view(&mut event, view, before, at);
    }
    record_decision(&mut event, &hit);
    describe(&mut event, hit, gate.allowed);
    // The code above skips costly look-ups of disallowed fields; this line is the guarantee.
    event.retain(gate.allowed);
    event.shuffle = shuffle(&event);
    Ok(Processed { event, view })
}

/// A hit that is to be kept.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a hit that was processed is stored, or dropped with a reason"]
pub struct Processed {
    /// What is stored.
    pub event: Event,
    /// The page view's number in its browser, which is not stored.
    pub view: ViewId,
}

impl Processed {
    /// Makes this hit known to later ones: its visit and, for a page view, its page. Call it only if the hit
    /// is kept.
    pub fn apply(&self, sessions: &Sessions, views: &PageViewCache) {
        let event = &self.event;
        if event.visitor.is_some() && event.session.is_some() {
            sessions.note(event.site, event.visitor, event.session, event.time.0);
        }
        if event.kind == Kind::Pageview && event.view.is_some() {
            views.remember(event.site, self.view, &event.hostname, &event.path);
        }
    }
}

/// What consent allows for one hit.
struct Gate {
    consent: Consent,
    allowed: FieldSet,
    tier: Tier,
}

impl Gate {
    fn open(hit: &Hit, headers: &Headers<'_>, rules: &Rules) -> Result<Self, DropReason> {
        let policy = &rules.site.policy;
        let said = hit.consent.map_or(Consent::UNDECIDED, Consent::decided);
        let consent = policy.with_gpc(said, headers.gpc);
        let allowed = policy.allowed(consent);
        if hit.kind == Kind::Consent {
            // A decision is kept as proof that it was honoured, without anything that identifies the visitor:
            // its receipt stays in the visitor's browser for months and must not lead to their visits.
            return Ok(Self { consent, allowed: of_a_decision(), tier: Tier::Minimal });
        }
        if policy.allows(Rule::Measurement, consent) {
            return Ok(Self { consent, allowed, tier: Tier::Full });
        }
        // A pageview is counted without a visitor. Anything more would describe a visitor who does not want
        // to be measured.
        if hit.kind == Kind::Pageview && policy.minimal == Minimal::Count {
            Ok(Self { consent, allowed, tier: Tier::Minimal })
        } else {
            Err(DropReason::ConsentRefused)
        }
    }

    /// The time that is kept: of anonymous hits, the beginning of the site's hour.
    fn time_ms(&self, at: &HitContext<'_>) -> i64 {
        match self.tier {
            Tier::Full => at.time_ms,
            Tier::Minimal => at.rules.hour_start_ms(at.time_ms),
        }
    }
}

/// What is kept of a decision: nothing by which it could be joined to the visit in which it was made.
fn of_a_decision() -> FieldSet {
    let of_a_visit = [Field::Hostname, Field::Path, Field::ReferrerHost, Field::Country, Field::Device];
    fields_under(Rule::Essential).iter().filter(|field| !of_a_visit.contains(field)).collect()
}

/// What decides where a row without a visitor lies among those of its hour: not the order in which they came. Made of
/// the row alone, so that it tells nothing that the row does not.
fn shuffle(event: &Event) -> u32 {
    if event.visitor.is_some() {
        return 0;
    }
    let mut row = Vec::new();
    event.encode(&mut row);
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&blake3::hash(&row).as_bytes()[..4]);
    u32::from_le_bytes(bytes)
}

/// Where the visit came from.
fn attribute(
    event: &mut Event,
    page: &sanitise::Page,
    hit: &Hit,
    allowed: FieldSet,
) -> Result<(), DropReason> {
    // A source named by a campaign tag is a campaign field in disguise.
    let tags = if allowed.contains(Field::UtmSource) { page.tags.clone() } else { sanitise::Tags::default() };
    let found = referrer::attribute(&page.hostname, &hit.referrer, tags);
    if found.spam {
        return Err(DropReason::ReferrerSpam);
    }
    event.referrer_host = found.referrer_host;
    event.referrer_path = found.referrer_path;
    event.source = found.source;
    event.channel = found.channel.name().into();
    event.utm_source = found.tags.source;
    event.utm_medium = found.tags.medium;
    event.utm_campaign = found.tags.campaign;
    event.utm_content = found.tags.content;
    event.utm_term = found.tags.term;
    event.click_id = found.tags.click_id.into();
    Ok(())
}

/// Records a decision with its receipt: what was decided, nothing about who decided.
fn record_decision(event: &mut Event, hit: &Hit) {
    let Some(decision) = &hit.decision else { return };
    event.consent_source = sanitise::event_name(&decision.source);
    if decision.receipt.is_none() && !decision.unmapped.is_empty() {
        // The script reports these by itself, page after page: they describe the consent manager and are not
        // a decision by the visitor. They have no mask; every decision has one.
        (event.granted, event.refused) = (0, 0);
    }
    if let Some(receipt) = &decision.receipt {
        event.receipt = receipt.id.clone();
        event.notice_version = sanitise::event_name(&receipt.policy);
    }
}

/// Reports about a page view are stored with its page: the script sends the page only once.
///
/// After a restart, pages are known under the numbers that are stored.
fn take_page_of_view(event: &mut Event, view: ViewId, before: Option<VisitorKey>, at: &HitContext<'_>) {
    let stored = [Some(event.view), before.map(|before| view_under(before, view))];
    let known = [Some(view)].into_iter().chain(stored).flatten();
    if let Some(page) = known.filter_map(|view| at.views.page(event.site, view)).next() {
        event.hostname.clone_from(&page.hostname);
        event.path.clone_from(&page.path);
    }
}

/// Whether this hit is stored with the page of its page view, which it does not name itself.
pub fn needs_page_of_view(hit: &Hit, headers: &Headers<'_>, rules: &Rules) -> bool {
    hit.kind != Kind::Pageview
        && hit.view.is_some()
        && hit.url.is_empty()
        && bots::of_hit(hit).is_none()
        && Gate::open(hit, headers, rules).is_ok_and(|gate| gate.allowed.contains(Field::View))
}

/// What the site says about an interaction.
fn describe(event: &mut Event, hit: Hit, allowed: FieldSet) {
    event.name = sanitise::event_name(&hit.name);
    if allowed.contains(Field::Props) {
        for (key, value) in &hit.props {
            let (key, value) = sanitise::prop(key, value);
            // Keys that differ only in what is masked become the same.
            if event.props.iter().all(|(known, _)| *known != key) {
                event.props.push((key, value));
            }
        }
        if let Some((amount, currency)) = hit.revenue {
            (event.revenue, event.currency) = (amount, currency);
        }
    }
    if allowed.contains(Field::ClickPath) {
        event.click_at = hit.clicks.iter().flat_map(|c| c.at).collect();
        event.click_path = hit.clicks.into_iter().map(|c| c.path).collect();
    }
}

/// The number under which a page view of a visitor is stored: another one for each key. A page that is open at midnight
/// would otherwise join the keys of two days.
pub fn view_under(visitor: VisitorKey, view: ViewId) -> ViewId {
    if !view.is_some() || !visitor.is_some() {
        return view;
    }
    let mut hasher = blake3::Hasher::new_derive_key("sotto 2026-11 page view under a visitor key");
    hasher.update(&visitor.0.to_le_bytes()).update(&view.0.to_le_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    ViewId(u64::from_le_bytes(bytes).max(1))
}

/// The visitor and the visit, valid for this day and site only. Returns the visitor's key of the day before, while it can
/// be made.
fn identify(
    event: &mut Event,
    headers: &Headers<'_>,
    client: &ClientIp,
    at: &HitContext<'_>,
    allowed: FieldSet,
) -> Option<VisitorKey> {
    let salt = at.salt.filter(|_| allowed.contains(Field::Visitor))?;
    let site = at.rules.site.id;
    let before = at.salt_before.map(|salt| visitor_key(salt, site, client, headers.user_agent));
    event.visitor = visitor_key(salt, site, client, headers.user_agent);
    let begins = matches!(event.kind, Kind::Pageview | Kind::Custom);
    event.session = at.sessions.find(site, event.visitor, before, at.time_ms, begins);
    before
}

/// The visitor's persistent id. Whatever the site's policy, only visitors who consented are recognised on
/// another day.
fn returning(hit: &Hit, consent: Consent) -> ReturningId {
    if consent.state(Category::Analytics) == State::Granted { hit.returning } else { ReturningId::NONE }
}

fn screen(width: Option<u16>) -> Screen {
    match width {
        None => Screen::Unknown,
        Some(..576) => Screen::Xs,
        Some(576..768) => Screen::Sm,
        Some(768..992) => Screen::Md,
        Some(992..1440) => Screen::Lg,
        Some(1440..) => Screen::Xl,
    }
}

/// The first language's primary subtag (RFC 9110, 12.5.4; RFC 5646), lower case.
fn language(accept: &str) -> compact_str::CompactString {
    let first = accept.split([',', ';', '-']).next().unwrap_or_default().trim();
    let valid = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if valid { first.to_ascii_lowercase().into() } else { Default::default() }
}

fn network_kind(kind: sotto_geoip::NetworkKind) -> sotto_schema::event::NetworkKind {
    use sotto_geoip::NetworkKind as From;
    use sotto_schema::event::NetworkKind as To;
    match kind {
        From::Unknown => To::Unknown,
        From::Consumer => To::Consumer,
        From::Hosting => To::Hosting,
    }
}

#[cfg(test)]
mod tests;
