//! The webhooks of a site: which servers are told of goals and alerts, and what they answered.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Form, Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::{clock::now_ms, id::HookId, site::Site};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    hook::{self, Attempt, Format, HOOKS_MAX, Hook, HookError, Kind, NewHook},
    subscription::State as Told,
};

use super::{dates, sites};
use crate::{
    App,
    auth::SignedIn,
    hook::{
        address::{Reach, URL_BYTES_MAX},
        messenger::Messenger,
        sign,
    },
    page::{PageError, Shell, Theme, html_with},
    report::groups::GROUP_MIN,
};

/// How far back it is shown what servers answered, in milliseconds: as long as messages are sent again, and a week more.
const SHOWN_MS: i64 = 9 * 24 * 3_600_000;

struct HookRow {
    id: String,
    host: String,
    kinds: String,
    since: String,
    /// What became of the last message.
    last: String,
}

/// The secret of a webhook that was just added.
struct Made {
    host: String,
    secret: String,
}

/// What the page says besides the list.
#[derive(Default)]
struct Said {
    error: String,
    done: String,
    made: Option<Made>,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    key: String,
    rows: Vec<HookRow>,
    form: HookForm,
    said: Said,
    /// Whether this installation can seal addresses.
    seals: bool,
    full: bool,
    hooks_max: usize,
    url_max: usize,
    group_min: u64,
}

/// A webhook as typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct HookForm {
    #[serde(default)]
    url: String,
    #[serde(default)]
    goals: Option<String>,
    #[serde(default)]
    alerts: Option<String>,
    #[serde(default)]
    format: String,
}

impl HookForm {
    /// What is offered: it is told everything.
    fn new() -> Self {
        let on = || Some("on".to_owned());
        Self { goals: on(), alerts: on(), ..Self::default() }
    }
}

/// The webhook that is meant.
#[derive(Debug, Deserialize)]
pub(super) struct OneForm {
    id: String,
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Goals => "goals",
        Kind::Alerts => "alerts",
    }
}

/// What became of a message, in words.
fn told(attempt: &Attempt) -> String {
    let when = dates::minute(attempt.time_ms);
    let answer = if attempt.code == 0 { String::new() } else { format!(" with status {}", attempt.code) };
    match attempt.state {
        Told::Sent => format!("last told {when}, accepted{answer}"),
        Told::Begun => format!("being told since {when}"),
        Told::Deferred => {
            format!("not accepted{answer}, attempt {} of 6 was at {when}", attempt.number)
        }
        Told::Refused => format!("refused{answer}, {when}; that message is not sent again"),
    }
}

async fn page(
    (app, theme, signed_in): (&App, Theme, &SignedIn),
    (site, all): (Site, Vec<Site>),
    (form, said): (HookForm, Said),
) -> Result<Response, PageError> {
    let db = &app.settings.databases.reader;
    let since = now_ms() - SHOWN_MS;
    let (hooks, deliveries) = tokio::try_join!(hook::all(db, site.id), hook::deliveries(db, since))?;
    let row = |hook: &Hook| {
        let attempts = deliveries.iter().filter(|(message, _)| message.hook == hook.id);
        let last = attempts.map(|(_, attempt)| attempt).max_by_key(|attempt| attempt.time_ms);
        HookRow {
            id: hook.id.to_string(),
            host: hook.host.clone(),
            kinds: hook.kinds.iter().map(|kind| title(*kind)).collect::<Vec<_>>().join(" and "),
            since: dates::day(hook.created_ms),
            last: last.map_or_else(|| "nothing was told in the last days".to_owned(), told),
        }
    };
    let status = if said.error.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(html_with(
        status,
        &WebhooksPage {
            rows: hooks.iter().map(row).collect(),
            form,
            said,
            seals: app.settings.account_key.is_some(),
            full: hooks.len() >= HOOKS_MAX,
            hooks_max: HOOKS_MAX,
            url_max: URL_BYTES_MAX,
            group_min: GROUP_MIN,
            shell: Shell {
                title: format!("Webhooks of {}", site.name),
                theme,
                who: Some(signed_in.who()),
                sites: sites::links(&all, Some(&site)),
            },
            key: site.key,
        },
    ))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let found = signed_in.site(&key, Role::Owner)?;
    page((&app, theme, &signed_in), found, (HookForm::new(), Said::default())).await
}

/// Adds what was typed; what is wrong with it is told in words.
async fn added(
    app: &App,
    signed_in: &SignedIn,
    site: &Site,
    form: &HookForm,
) -> Result<Result<Made, String>, PageError> {
    let db = &app.settings.databases.writer;
    let Some(key) = &app.settings.account_key else {
        return Ok(Err("this installation has no usable account key, see its log".to_owned()));
    };
    let url = match Reach::of_build().check(form.url.trim()) {
        Ok(url) => url,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    let chosen = [(&form.goals, Kind::Goals), (&form.alerts, Kind::Alerts)];
    let kinds: Vec<Kind> =
        chosen.into_iter().filter(|(chosen, _)| chosen.is_some()).map(|(_, kind)| kind).collect();
    if kinds.is_empty() {
        return Ok(Err("choose what it is told".to_owned()));
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let format = Format::from_name(&form.format).ok_or(PageError::NotFound)?;
    let new = NewHook { url: url.as_str(), host: &host, kinds: &kinds, format };
    match hook::add(db, key, site.id, signed_in.user.id, new).await {
        Ok(hook) => {
            let what = format!("webhook {}: {host}", hook.id);
            audit::append(db, signed_in.user.id, Action::HookAdd, site.id, &what).await?;
            let target = hook.open(key).map_err(HookError::from)?;
            Ok(Ok(Made { host, secret: sign::shown(&target.secret) }))
        }
        Err(error @ HookError::TooMany) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<HookForm>,
) -> Result<Response, PageError> {
    let (site, all) = signed_in.site(&key, Role::Owner)?;
    // So that no two at once are one more than there may be.
    let _alone = app.people.lock().await;
    let (form, said) = match added(&app, &signed_in, &site, &form).await? {
        Ok(made) => (HookForm::new(), Said { made: Some(made), ..Said::default() }),
        Err(error) => (form, Said { error: format!("Please check: {error}."), ..Said::default() }),
    };
    page((&app, theme, &signed_in), (site, all), (form, said)).await
}

/// The webhook of a site with a number.
async fn find(app: &App, site: &Site, id: &str) -> Result<Hook, PageError> {
    let id = id.parse().map(HookId).map_err(|_| PageError::NotFound)?;
    let hooks = hook::all(&app.settings.databases.writer, site.id).await?;
    hooks.into_iter().find(|hook| hook.id == id).ok_or(PageError::NotFound)
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<OneForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (site, _) = signed_in.site(&key, Role::Owner)?;
    let hook = find(&app, &site, &form.id).await?;
    hook::remove(db, site.id, hook.id).await?;
    let what = format!("webhook {}: {}", hook.id, hook.host);
    audit::append(db, signed_in.user.id, Action::HookRemove, site.id, &what).await?;
    Ok(Redirect::to(&format!("/s/{key}/webhooks")).into_response())
}

pub(super) async fn test(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<OneForm>,
) -> Result<Response, PageError> {
    let (site, all) = signed_in.site(&key, Role::Owner)?;
    let hook = find(&app, &site, &form.id).await?;
    let Some(account_key) = app.settings.account_key.clone() else { return Err(PageError::NotFound) };
    let settings = &app.settings;
    let messenger = Messenger::new(settings.databases.clone(), settings.public_url.clone(), account_key);
    // A server that is slow to answer keeps none of the turns of reports.
    let _turn = app.hook_tests.try_acquire().map_err(|_| PageError::Busy)?;
    let answer = messenger.test(&hook, &site).await;
    let code =
        if answer.code == 0 { String::new() } else { format!(" It answered with status {}.", answer.code) };
    let said = if answer.state == Told::Sent {
        Said { done: format!("{} accepted the test message.{code}", hook.host), ..Said::default() }
    } else {
        Said {
            error: format!("{} did not accept the test message: {}.{code}", hook.host, answer.why),
            ..Said::default()
        }
    };
    page((&app, theme, &signed_in), (site, all), (HookForm::new(), said)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_message_is_told_with_its_answer() {
        let attempt = |state, code| Attempt { number: 2, state, code, time_ms: 1_795_651_199_000 };
        for (state, code, expected) in [
            (Told::Sent, 204, "last told 25 Nov 2026, 23:59 UTC, accepted with status 204"),
            (Told::Deferred, 0, "not accepted, attempt 2 of 6 was at 25 Nov 2026, 23:59 UTC"),
            (
                Told::Deferred,
                503,
                "not accepted with status 503, attempt 2 of 6 was at 25 Nov 2026, 23:59 UTC",
            ),
            (
                Told::Refused,
                404,
                "refused with status 404, 25 Nov 2026, 23:59 UTC; that message is not sent again",
            ),
            (Told::Begun, 0, "being told since 25 Nov 2026, 23:59 UTC"),
        ] {
            assert_eq!(told(&attempt(state, code)), expected);
        }
    }
}
