//! The road of a hit, from request to outcome. Every wire format ends here: there is no second road.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use compact_str::CompactString;
use http::HeaderMap;
use sotto_schema::{
    day::Day,
    event::{Kind, Tier},
    id::{SiteId, TokenId},
    outcome::{DropReason, Outcome},
};
use sotto_store::account::Bearer;

use super::{
    Collector,
    held::{Ended, Held},
    unmapped_consent::Report,
};
use crate::{
    config::sites::{lookups::Undecided, rules::Rules, tokens},
    pipeline::{
        self, HitContext, Processed,
        dropin::{Claimed, Claims},
        hit::{Headers, Hit},
        parse::Refused,
        sanitise,
    },
    spool::{
        Key,
        sharded::{ShardRepeats, ShardedAppend},
    },
    visitor::{
        client_ip::{ClientIp, Peer, client_ip},
        imports::DayOfImport,
        key::visitor_key,
        salts::{self, Salt, Term},
        sessions::Sessions,
    },
};

/// One hit of a request, as decoded from its wire format.
pub type Decoded = Result<Submission, NotTaken>;

/// A submitted hit, with what its sender claims about the visitor and the token that backs the claims.
pub struct Submission {
    /// What happened.
    pub hit: Hit,
    /// What the body says about the visitor.
    pub claims: Claims,
    /// The secret of the token that came with it. What it allows is asked when the hit is judged.
    pub token: Option<Arc<str>>,
    /// How the format names sites.
    pub site_name: SiteName,
}

/// How a format identifies a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteName {
    /// By our key, or by the host of its pages.
    Key,
    /// By our key, by one of its host names, or not at all: then the page's host identifies it.
    KeyOrHost,
}

/// A hit that could not be read.
pub struct NotTaken {
    /// The key of the site that it names; empty if that could not be read.
    site: CompactString,
    reason: DropReason,
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        Self { site: refused.site, reason: refused.error.reason() }
    }
}

impl From<DropReason> for NotTaken {
    fn from(reason: DropReason) -> Self {
        Self { site: CompactString::default(), reason }
    }
}

impl From<Hit> for Submission {
    fn from(hit: Hit) -> Self {
        Self { hit, claims: Claims::default(), token: None, site_name: SiteName::Key }
    }
}

impl Submission {
    /// A hit of another product's format.
    pub fn claimed(Claimed { hit, claims }: Claimed, token: Option<Arc<str>>) -> Self {
        Self { hit, claims, token, site_name: SiteName::KeyOrHost }
    }
}

/// Why nothing of a request was kept. Its hits have no outcome yet: the sender retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unkept {
    /// The spool is full or its disk fails.
    NoRoom,
    /// A site is not known here, and whether it exists cannot be found out now.
    SiteUndecided,
    /// The connection's peer address is missing; the server always sets it.
    NoPeer,
}

/// What a sender does when it is told that a hit was not kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Sends the whole request again.
    Whole,
    /// Is told which hits they were.
    Each,
}

/// Decided hits of one request, waiting for the disk.
pub struct Admitted<'a> {
    /// Records to be made durable.
    pub appends: ShardedAppend,
    hits: Vec<Held<'a>>,
    unmapped: Vec<Report>,
    collector: &'a Collector,
}

impl Admitted<'_> {
    /// All records are on disk: every hit gets its outcome.
    pub fn end(self, repeats: &ShardRepeats) -> Vec<Ended> {
        for report in self.unmapped {
            self.collector.unmapped.note(report);
        }
        self.hits.into_iter().map(|held| held.end(repeats)).collect()
    }

    /// Nothing was kept.
    fn give_back(self) {
        self.hits.into_iter().for_each(Held::give_back);
    }
}

/// Who sent a request.
struct Sender<'a> {
    client: ClientIp,
    headers: Headers<'a>,
    now_ms: i64,
}

/// What is to be stored of a hit.
struct Kept {
    processed: Processed,
    visits: Visits,
    /// Unique to this hit, where its format numbers hits.
    key: Option<Key>,
    unmapped: Option<Report>,
}

/// When a hit happened.
#[derive(Clone, Copy)]
struct When {
    /// Milliseconds since 1970-01-01 UTC.
    time_ms: i64,
    /// The site's day at that time.
    day: Day,
}

/// Salts of the hit's day and of the day before, if still alive, and the visits that it may belong to.
struct SaltsOfHit {
    day: Option<Arc<Salt>>,
    before: Option<Arc<Salt>>,
    visits: Visits,
}

/// Where a hit's visit is remembered.
enum Visits {
    /// With those of all other hits.
    Live,
    /// With those of its import, which nobody else is told about.
    Imported(Arc<Sessions>),
}

impl Collector {
    /// Runs one request's hits through the pipeline; resolves when what is kept is on disk. For formats whose answer is
    /// about the request as a whole: if one of its hits cannot be judged now, the sender is told to send all of it
    /// again. What has a number is kept all the same; its repeat is recognised.
    ///
    /// # Errors
    /// When they cannot be written to disk, when it cannot be found out whether a site or token exists, or when the
    /// peer is unknown.
    pub(crate) async fn keep(
        &self,
        hits: Vec<Decoded>,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Vec<Ended>, Unkept> {
        let ended = self.keep_judged(hits, headers, peer, Again::Whole).await?;
        ended.into_iter().collect::<Option<_>>().ok_or(Unkept::SiteUndecided)
    }

    /// The same for formats whose answer names the hits that were not kept: those that cannot be judged now have no
    /// outcome, and the others are kept.
    ///
    /// # Errors
    /// As [`Collector::keep`], if none can be judged.
    pub(crate) async fn keep_each(
        &self,
        hits: Vec<Decoded>,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Vec<Option<Ended>>, Unkept> {
        self.keep_judged(hits, headers, peer, Again::Each).await
    }

    async fn keep_judged(
        &self,
        hits: Vec<Decoded>,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        again: Again,
    ) -> Result<Vec<Option<Ended>>, Unkept> {
        let peer = peer.ok_or(Unkept::NoPeer)?;
        if self.look_up(&hits, &client_ip(*peer, headers, &self.trusted_proxies)).await.is_ok() {
            return Ok(self.keep_all(hits, headers, peer).await?.into_iter().map(Some).collect());
        }
        let is_judged = |hit: &Decoded| {
            !hit.as_ref().is_ok_and(|submission| self.is_new(submission))
                && (again == Again::Each || hit.as_ref().is_ok_and(|submission| submission.hit.numbered))
        };
        let places: Vec<bool> = hits.iter().map(is_judged).collect();
        let judged: Vec<Decoded> =
            hits.into_iter().zip(&places).filter_map(|(hit, judged)| judged.then_some(hit)).collect();
        if judged.is_empty() {
            return Err(Unkept::SiteUndecided);
        }
        let mut ended = self.keep_all(judged, headers, peer).await?.into_iter();
        Ok(places.into_iter().map(|judged| if judged { ended.next() } else { None }).collect())
    }

    async fn keep_all(
        &self,
        hits: Vec<Decoded>,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Vec<Ended>, Unkept> {
        self.wait_for_pageviews(&hits, headers).await;
        self.agree_on_salts(&hits).await;
        let mut admitted = self.admit(hits, headers, *peer);
        match self.spools.append(std::mem::take(&mut admitted.appends)).await {
            Ok(repeats) => Ok(admitted.end(&repeats)),
            Err(_) => {
                admitted.give_back();
                self.metrics.spool_refused.fetch_add(1, Ordering::Relaxed);
                Err(Unkept::NoRoom)
            }
        }
    }

    /// Decides a request's hits and records those to keep.
    pub fn admit(&self, hits: Vec<Decoded>, headers: &HeaderMap, peer: Peer) -> Admitted<'_> {
        let sender = Sender {
            client: client_ip(peer, headers, &self.trusted_proxies),
            headers: Headers::of(headers),
            now_ms: self.clock.now_ms(),
        };
        let mut admitted = Admitted {
            appends: self.spools.appends(),
            hits: Vec::with_capacity(hits.len()),
            unmapped: Vec::new(),
            collector: self,
        };
        for hit in hits {
            let mut held = Held::new(&self.metrics, sender.now_ms);
            match self.decide(hit, &sender, &mut held) {
                Ok(kept) => self.record(kept, &mut held, &mut admitted),
                Err(reason) => held.decide_drop(reason),
            }
            admitted.hits.push(held);
        }
        admitted
    }

    /// Every decision that can end a hit's road before the disk, in order.
    fn decide(&self, hit: Decoded, sender: &Sender<'_>, held: &mut Held<'_>) -> Result<Kept, DropReason> {
        let mut submission = self.read(hit, held)?;
        let rules = self.find_site(&submission, held)?;
        let bearer = submission.token.as_deref().and_then(|token| self.tokens.find(token));
        let vouched = tokens::may_write(bearer, rules.site.id);
        let claims = if vouched { std::mem::take(&mut submission.claims) } else { Claims::default() };
        let claimed_client = claims.address.as_deref().and_then(ClientIp::claimed);
        let client = claimed_client.as_ref().unwrap_or(&sender.client);
        let headers = claims.user_agent.as_deref().map_or(sender.headers, |ua| sender.headers.claiming(ua));
        let mut hit = submission.hit;
        let when = time_of(&hit, &claims, &rules, sender.now_ms)?;
        self.metrics.count_address(rules.site.id, sender.now_ms, client.is_private());
        let importer = bearer.filter(|_| claims.time_ms.is_some()).map(|bearer| bearer.token);
        let salts = self.salts_of(&rules, when.day, importer, sender.now_ms);
        if self.objected(rules.site.id, when.day, salts.day.as_deref(), client, &headers) {
            hit.refuse_all();
        }
        self.process(hit, client, &headers, &rules, when, salts)
    }

    /// Drops what could not be decoded, attributed to its site if it named one.
    fn read(&self, hit: Decoded, held: &mut Held<'_>) -> Result<Submission, DropReason> {
        hit.map_err(|NotTaken { site, reason }| {
            // As of one that could be read: our script in another product's place knows a host name only.
            if let Some(rules) = self.named(&site) {
                held.belongs_to(rules.site.id);
            }
            reason
        })
    }

    fn find_site(&self, submission: &Submission, held: &mut Held<'_>) -> Result<Arc<Rules>, DropReason> {
        let rules = self.site_of(submission).ok_or(DropReason::UnknownSite)?;
        held.belongs_to(rules.site.id);
        Ok(rules)
    }

    /// The site of that key, or of that host: our script in another product's place knows the host of its page only. No
    /// key has a dot.
    fn named(&self, site: &str) -> Option<Arc<Rules>> {
        let by_host = || self.rules.named(site).filter(|_| site.contains('.'));
        self.rules.get(site).or_else(by_host)
    }

    pub(super) fn site_of(&self, Submission { hit, site_name, .. }: &Submission) -> Option<Arc<Rules>> {
        match site_name {
            SiteName::Key => self.named(&hit.site),
            SiteName::KeyOrHost => {
                self.rules.get(&hit.site).or_else(|| self.rules.named(&hit.site)).or_else(|| {
                    self.rules
                        .of_host(&sanitise::page(&hit.url).map(|page| page.hostname).unwrap_or_default())
                })
            }
        }
    }

    fn process(
        &self,
        hit: Hit,
        client: &ClientIp,
        headers: &Headers<'_>,
        rules: &Rules,
        When { time_ms, day }: When,
        salts: SaltsOfHit,
    ) -> Result<Kept, DropReason> {
        let site = rules.site.id;
        let (kind, numbered, view, seq) = (hit.kind, hit.numbered, hit.view, hit.seq);
        let unmapped = hit.decision.as_deref().and_then(|decision| Report::of(decision, site, day));
        let context = HitContext {
            time_ms,
            day,
            rules,
            salt: salts.day.as_deref(),
            salt_before: salts.before.as_deref(),
            sessions: self.sessions_of(&salts.visits),
            views: &self.views,
            geo: &self.geo.load(),
            classifier: &self.classifier,
        };
        let processed = pipeline::process(hit, headers, client, &context);
        if kind == Kind::Pageview && !processed.as_ref().is_ok_and(|kept| kept.event.view.is_some()) {
            self.early_hits.note_anonymous(site, view);
        }
        let processed = processed?;
        // As it is stored, where it is: a restart knows no other number.
        let stored = processed.event.view;
        let view = if stored.is_some() { stored } else { view };
        let key = numbered.then_some(Key { site, view, seq });
        Ok(Kept { processed, visits: salts.visits, key, unmapped })
    }

    /// Adds a hit to the batch to be made durable, and announces it to later hits and other collectors.
    fn record(&self, kept: Kept, held: &mut Held<'_>, admitted: &mut Admitted<'_>) {
        let Kept { processed, visits, key, unmapped } = kept;
        let event = &processed.event;
        let Some(ticket) = admitted.appends.record(event.site, key, |out| event.encode(out)) else {
            debug_assert!(false, "the limits of the parser keep a row far below a record's");
            return held.decide_drop(DropReason::InvalidPayload);
        };
        let outcome = match event.tier {
            Tier::Full => Outcome::Stored,
            Tier::Minimal => Outcome::Minimised,
        };
        held.decide_keep(outcome, ticket);
        processed.apply(self.sessions_of(&visits), &self.views);
        if let (Some(peers), Visits::Live) = (&self.peers, &visits) {
            peers.tell(event, processed.view);
        }
        admitted.unmapped.extend(unmapped);
    }

    /// Reads sites and tokens again if one of these hits names one that is not known: it may have been added a moment
    /// ago.
    ///
    /// # Errors
    /// When it cannot be found out now whether it exists.
    async fn look_up(&self, hits: &[Decoded], client: &ClientIp) -> Result<(), Undecided> {
        let new: Vec<&Submission> = hits.iter().flatten().filter(|hit| self.is_new(hit)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.read_again(client).await?;
        for submission in new {
            if submission.site_name == SiteName::Key && self.site_of(submission).is_none() {
                self.lookups.note_unknown(&submission.hit.site, Instant::now());
            }
            submission.token.as_deref().inspect(|token| self.note_if_unknown(token));
        }
        Ok(())
    }

    /// What a token allows that came with a request; one that is not known may have been made a moment ago.
    ///
    /// # Errors
    /// When it cannot be found out now whether it exists.
    pub(super) async fn bearer(
        &self,
        token: Option<&str>,
        client: &ClientIp,
    ) -> Result<Option<Bearer>, Undecided> {
        let Some(token) = token else { return Ok(None) };
        if self.is_new_token(token) {
            self.read_again(client).await?;
            self.note_if_unknown(token);
        }
        Ok(self.tokens.find(token))
    }

    async fn read_again(&self, client: &ClientIp) -> Result<(), Undecided> {
        let read = self.lookups.read_again(client).await;
        read.inspect_err(|_| {
            self.metrics.sites_undecided.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Whether a hit names a site or a token that may have been added since the last reading.
    ///
    /// Of host names this is never sure: a page may send hits under its host name before its site is added, and the
    /// next one may be the first after it.
    fn is_new(&self, submission: &Submission) -> bool {
        let Submission { hit, token, site_name, .. } = submission;
        let is_unknown = || *site_name == SiteName::Key && self.lookups.is_unknown(&hit.site, Instant::now());
        (self.site_of(submission).is_none() && !is_unknown())
            || token.as_deref().is_some_and(|token| self.is_new_token(token))
    }

    fn is_new_token(&self, token: &str) -> bool {
        self.tokens.find(token).is_none() && !self.lookups.is_unknown(&tokens::name_of(token), Instant::now())
    }

    fn note_if_unknown(&self, token: &str) {
        if self.tokens.find(token).is_none() {
            self.lookups.note_unknown(&tokens::name_of(token), Instant::now());
        }
    }

    /// Agrees with the other collectors on the salts of these hits' sites, before hits are keyed with them.
    async fn agree_on_salts(&self, hits: &[Decoded]) {
        let Some(peers) = &self.peers else { return };
        for submission in hits.iter().flatten() {
            let Some(rules) = self.site_of(submission) else { continue };
            peers.agree(rules.site.id, rules.day(self.clock.now_ms())).await;
            if peers.is_partitioned() {
                self.metrics.hits_partitioned.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether this visitor objected today.
    fn objected(
        &self,
        site: SiteId,
        day: Day,
        salt: Option<&Salt>,
        client: &ClientIp,
        headers: &Headers<'_>,
    ) -> bool {
        !self.objections.is_empty()
            && salt.is_some_and(|salt| {
                let key = visitor_key(salt, site, client, headers.user_agent);
                self.objections.contains(site, day, key)
            })
    }

    /// The salts of a hit's day. If the day's salt is dead, a hit that an importer's token vouches for gets one of that
    /// import; any other hit has none, and so no visitor.
    fn salts_of(&self, rules: &Rules, day: Day, importer: Option<TokenId>, now_ms: i64) -> SaltsOfHit {
        let site = rules.site.id;
        let today = rules.day(now_ms);
        let salt =
            if day == today { self.todays_salt(rules, day, now_ms) } else { self.salts.get(site, day) };
        if let (None, Some(token)) = (&salt, importer.filter(|_| day != today)) {
            match self.imports.day(token, site, day, now_ms) {
                Ok(DayOfImport { salt, before, sessions }) => {
                    return SaltsOfHit { day: Some(salt), before, visits: Visits::Imported(sessions) };
                }
                Err(error) => {
                    tracing::error!(%error, "no salt can be made; imported visitors are not counted")
                }
            }
        }
        SaltsOfHit { day: salt, before: self.salt_before(rules, day, now_ms), visits: Visits::Live }
    }

    fn sessions_of<'a>(&'a self, visits: &'a Visits) -> &'a Sessions {
        match visits {
            Visits::Live => &self.sessions,
            Visits::Imported(sessions) => sessions,
        }
    }

    /// Today's salt. Without one (no randomness, no memory) hits are kept without a visitor.
    pub(crate) fn todays_salt(&self, rules: &Rules, day: Day, now_ms: i64) -> Option<Arc<Salt>> {
        let site = rules.site.id;
        let known = self.salts.get(site, day);
        if known.is_some() {
            return known;
        }
        self.salts
            .today(site, day, Term::of_day(rules.day_end_ms(day), now_ms))
            .inspect(|_| {
                if let Some(peers) = &self.peers {
                    peers.made_alone(site, day);
                }
            })
            .inspect_err(|error| tracing::error!(%error, "no salt can be made; visitors are not counted"))
            .ok()
    }

    /// The previous day's salt, during the half hour in which visits are carried across midnight.
    fn salt_before(&self, rules: &Rules, day: Day, now_ms: i64) -> Option<Arc<Salt>> {
        let before = day.before()?;
        let salt = self.salts.get(rules.site.id, before)?;
        (!salts::is_over(rules.day_end_ms(before), now_ms)).then_some(salt)
    }
}

/// When a hit happened, as reported by the browser or, with a token, by the body.
///
/// # Errors
/// When the body names a day whose raw events have expired. A browser's age was checked when the hit was read.
fn time_of(hit: &Hit, claims: &Claims, rules: &Rules, now_ms: i64) -> Result<When, DropReason> {
    let Some(claimed_ms) = claims.time_ms else {
        let time_ms = now_ms - i64::from(hit.age_ms);
        return Ok(When { time_ms, day: rules.day(time_ms) });
    };
    // A time in the future counts as now: clocks differ.
    let time_ms = claimed_ms.min(now_ms);
    let day = rules.day(time_ms);
    let is_expired = day.plus(rules.site.retention_days) <= rules.day(now_ms);
    if is_expired { Err(DropReason::TooOld) } else { Ok(When { time_ms, day }) }
}

#[cfg(test)]
mod tests {
    use sotto_schema::{policy::Preset, site::Site};

    use super::*;

    const NOON_MS: i64 = 1_800_014_400_000;
    const HOUR_MS: i64 = 60 * 60 * 1000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    #[test]
    fn claimed_time_is_taken_as_far_back_as_raw_events_are_kept() {
        for (retention_days, age_ms, taken) in [
            (1, 0, true),
            (1, 12 * HOUR_MS, true),
            (1, 12 * HOUR_MS + 1, false),
            (90, 21 * DAY_MS, true),
            (90, 89 * DAY_MS + 12 * HOUR_MS, true),
            (90, 89 * DAY_MS + 12 * HOUR_MS + 1, false),
            (90, -DAY_MS, true),
            (90, i64::MAX, false),
            (90, i64::MIN, true),
        ] {
            let site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
            let rules = Rules::new(Site { retention_days, ..site });
            let claimed_ms = NOON_MS.saturating_sub(age_ms);
            let claims = Claims { time_ms: Some(claimed_ms), ..Claims::default() };
            let when = time_of(&Hit::default(), &claims, &rules, NOON_MS);
            let expected = if taken { Ok(claimed_ms.min(NOON_MS)) } else { Err(DropReason::TooOld) };
            assert_eq!(when.map(|when| when.time_ms), expected, "{retention_days} days, {age_ms} ms");
        }
    }
}
