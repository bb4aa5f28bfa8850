//! Mail: reports and alerts for members of a site.
//!
//! Promises: a letter says what a viewer of the site sees and nothing else ([`summary`]); it goes to members only, and each
//! time it is asked whether they still are; of several programs one sends at a time, and none twice
//! ([`sotto_store::subscription`]). No address is in the log. The time is an argument.
//!
//! Proof: the tests of the modules, and `tests/suite/mail.rs` with a real mail server.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jiff::{Timestamp, tz::TimeZone};
use lettre::{Address, message::Mailbox};
use sotto_schema::{
    id::{SiteId, UserId},
    site::Site,
};
use sotto_store::{
    account::{self, AccountError, role_of},
    db::Databases,
    migrate::lock::{Lock, LockError},
    sites,
    subscription::{self, Attempt, Deliveries, Kind, LetterId, State, Subscription},
};

use crate::{range::Range, report::Reports};

pub(crate) mod alert;
pub(crate) mod letter;
mod picture;
mod post;
pub(crate) mod schedule;
pub(crate) mod summary;

pub use post::{MailServer, Security};

use alert::Alert;
use letter::{Letter, Links};
use post::Post;
use schedule::Period;
use summary::Summary;

/// Name of the lock of who sends: one program at a time.
const LOCK: &str = "mail_lock";
/// Path of the links that end subscriptions.
pub(crate) const UNSUBSCRIBE: &str = "/unsubscribe/";

/// Why mail cannot be sent. The messages are shown to people; none has an address.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address from which mail comes is none.
    #[error("the sender's address cannot be used")]
    From,
    /// The certificate that was named is none.
    #[error("the certificate of the mail server's authority cannot be used")]
    Certificate,
    /// A letter cannot be put together.
    #[error("a letter cannot be put together")]
    Letter,
    /// The mail server cannot be reached or refuses us.
    #[error("the mail server takes nothing: {0}")]
    Server(String),
    /// The operating system has no randomness.
    #[error("the operating system has no randomness")]
    Randomness,
    /// Accounts cannot be read.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Who sends cannot be agreed on.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] clickhouse::error::Error),
}

impl From<askama::Error> for MailError {
    fn from(_: askama::Error) -> Self {
        Self::Letter
    }
}

impl From<lettre::error::Error> for MailError {
    fn from(_: lettre::error::Error) -> Self {
        Self::Letter
    }
}

/// Whether a mail server takes letters from us.
///
/// # Errors
/// When it does not.
pub async fn check(server: &MailServer, public_url: &str) -> Result<(), MailError> {
    Post::new(server, public_url)?.ready().await
}

/// What a round of letters came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Letters that the server accepted.
    pub sent: u64,
    /// Letters that it did not accept, this time or for good, and those that could not be put together.
    pub failed: u64,
}

/// Sends what is due.
pub struct Office {
    databases: Databases,
    public_url: String,
    server: MailServer,
    from: Mailbox,
    alerts: alert::Watch,
}

/// A letter that is to be sent.
struct Due {
    id: LetterId,
    site: Site,
    to: String,
    what: What,
}

enum What {
    Report(Period),
    Alert(Alert),
}

impl Office {
    /// An office whose letters lead to `public_url`.
    ///
    /// # Errors
    /// When the sender or the certificate cannot be used.
    pub fn new(databases: Databases, public_url: String, server: MailServer) -> Result<Self, MailError> {
        let address: Address = server.from.parse().map_err(|_| MailError::From)?;
        let from = Mailbox::new(Some("Sotto".to_owned()), address);
        let office = Self { databases, public_url, server, from, alerts: alert::Watch::default() };
        office.post()?;
        Ok(office)
    }

    fn post(&self) -> Result<Post, MailError> {
        Post::new(&self.server, &self.public_url)
    }

    /// Sends what is due at a moment; between two letters it asks whether to go on.
    ///
    /// # Errors
    /// When the database or the mail server is away; what is due stays due.
    pub async fn round(
        &self,
        now: Timestamp,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Round, MailError> {
        let db = &self.databases.writer;
        let due = self.due(now).await?;
        if due.is_empty() {
            return Ok(Round::default());
        }
        // Another program does it.
        let Some(lock) = Lock::try_take(db, LOCK).await? else { return Ok(Round::default()) };
        let round = self.send_all(due, now, &lock, go_on).await;
        let released = lock.release().await;
        let round = round?;
        released?;
        Ok(round)
    }

    /// What is due, of those who may still read the site.
    async fn due(&self, now: Timestamp) -> Result<Vec<Due>, MailError> {
        let db = &self.databases.writer;
        let subscribed = subscription::all(db, SiteId::NONE).await?;
        if subscribed.is_empty() {
            return Ok(Vec::new());
        }
        let (users, members) = (account::users(db).await?, account::members(db).await?);
        let sites: BTreeMap<SiteId, Site> =
            sites::all(db).await?.into_iter().map(|site| (site.id, site)).collect();
        let emails: BTreeMap<UserId, String> = users.into_iter().map(|user| (user.id, user.email)).collect();
        let told = self.told_since(now).await?;
        let mut due = Vec::new();
        let mut seen = BTreeMap::new();
        for known in subscribed {
            let roles: Vec<_> = members.iter().filter(|m| m.user == known.user).copied().collect();
            let (Some(site), Some(to)) = (sites.get(&known.site), emails.get(&known.user)) else { continue };
            if role_of(&roles, site.id).is_none() {
                continue;
            }
            for (period, what) in self.subjects(&known, site, now, &mut seen).await {
                let id = LetterId { site: known.site, user: known.user, kind: known.kind, period };
                if schedule::next_attempt(told.get(&id), now.as_millisecond()).is_some() {
                    due.push(Due { id, site: site.clone(), to: to.clone(), what });
                }
            }
        }
        Ok(due)
    }

    /// What a subscription is about at a moment, with what it is filed under.
    async fn subjects(
        &self,
        known: &Subscription,
        site: &Site,
        now: Timestamp,
        seen: &mut BTreeMap<SiteId, Vec<Alert>>,
    ) -> Vec<(String, What)> {
        let now = now.to_zoned(TimeZone::get(&site.time_zone).unwrap_or(TimeZone::UTC));
        if known.kind != Kind::Alerts {
            let period = schedule::last_due(known.kind, &now);
            let period = period.filter(|p| p.is_due(known.created_ms, now.timestamp().as_millisecond()));
            return period.map(|period| (period.name(), What::Report(period))).into_iter().collect();
        }
        let alerts = match seen.entry(site.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.alerts.look(&self.databases.reader, site, &now).await),
        };
        let alerts = alerts.iter().filter(|alert| alert.since_ms >= known.created_ms);
        alerts.map(|alert| (alert.name.clone(), What::Alert(alert.clone()))).collect()
    }

    /// The last attempts of all letters that may be due.
    async fn told_since(&self, now: Timestamp) -> Result<Deliveries, MailError> {
        let since = now.as_millisecond() - 2 * schedule::LATE_MS;
        Ok(subscription::deliveries(&self.databases.writer, since).await?)
    }

    async fn send_all(
        &self,
        due: Vec<Due>,
        now: Timestamp,
        lock: &Lock,
        go_on: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Round, MailError> {
        // Another program may have sent some before the lock was ours.
        let told = self.told_since(now).await?;
        let post = self.post()?;
        let reports = Reports::new(self.databases.reader.clone());
        let mut read = BTreeMap::new();
        let mut broken = BTreeSet::new();
        let mut round = Round::default();
        for due in due {
            let Some(number) = schedule::next_attempt(told.get(&due.id), now.as_millisecond()) else {
                continue;
            };
            if !go_on() {
                break;
            }
            let subject = (due.id.site, due.id.kind, due.id.period.clone());
            if let What::Report(period) = &due.what
                && !read.contains_key(&subject)
                && !broken.contains(&subject)
            {
                match summary::read(&reports, &due.site, period).await {
                    Ok(summary) => drop(read.insert(subject.clone(), summary)),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, site = due.site.key, "a report cannot be made, trying again");
                        broken.insert(subject.clone());
                    }
                }
            }
            if broken.contains(&subject) {
                round.failed += 1;
                continue;
            }
            post.ready().await?;
            lock.check().await?;
            let attempt = (number, now.as_millisecond());
            if self.send(&post, &due, read.get(&subject), attempt).await? {
                round.sent += 1;
            } else {
                round.failed += 1;
            }
        }
        Ok(round)
    }

    /// Sends a letter: whether the server accepted it.
    async fn send(
        &self,
        post: &Post,
        due: &Due,
        summary: Option<&Summary>,
        (number, time_ms): (u8, i64),
    ) -> Result<bool, MailError> {
        let db = &self.databases.writer;
        let (secret, hash) = account::random_secret().map_err(|_| MailError::Randomness)?;
        let begun = Attempt { number, state: State::Begun, secret: hash, time_ms };
        subscription::note(db, &due.id, &begun).await?;
        let (state, why) = match self.message(due, summary, &secret) {
            Ok(message) => post.send(message).await,
            // It would not be better the next time.
            Err(error) => (State::Refused, error.to_string()),
        };
        if state != State::Begun {
            subscription::note(db, &due.id, &Attempt { state, ..begun }).await?;
        }
        if state != State::Sent {
            let again = schedule::may_follow(&Attempt { state, ..begun });
            tracing::warn!(
                site = due.site.key,
                kind = due.id.kind.name(),
                attempt = number,
                again,
                why,
                "a letter was not accepted"
            );
        }
        Ok(state == State::Sent)
    }

    fn message(
        &self,
        due: &Due,
        summary: Option<&Summary>,
        secret: &str,
    ) -> Result<lettre::Message, MailError> {
        let links = self.links(due, secret);
        let letter = match (&due.what, summary) {
            (What::Report(_), Some(summary)) => Letter::report(due.id.kind, summary, &links, None)?,
            (What::Report(_), None) => return Err(MailError::Letter),
            (What::Alert(alert), _) => Letter::alert(&summary::plain(&due.site.name), alert, &links)?,
        };
        let to: Address = due.to.parse().map_err(|_| MailError::Letter)?;
        let (name, _) = account::random_secret().map_err(|_| MailError::Randomness)?;
        letter.message(&self.from, Mailbox::new(None, to), &name[..32], &links)
    }

    fn links(&self, due: &Due, secret: &str) -> Links {
        let about = [&self.public_url, "/s/", &due.site.key].concat();
        let (range, page) = match &due.what {
            What::Report(period) => (period.range, ""),
            What::Alert(alert) => (Range::day(alert.day), alert.page),
        };
        Links {
            reports: letter::reports_of(&[&about, page].concat(), range),
            settings: format!("{about}/mail"),
            unsubscribe: [&self.public_url, UNSUBSCRIBE, secret].concat(),
        }
    }
}
