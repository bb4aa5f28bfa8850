//! A site's settings: what it is called, which pages belong to it, and how its visitors are counted.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::{
    policy::Preset,
    site::{RETENTION_DAYS_MAX, RETENTION_DAYS_MIN, Site, SiteError, normalise_hostname},
};
use sotto_store::account::Role;

use super::{
    policy_choice::{Choice, choices},
    sites::{self, Zone, plain_host, zones},
};
use crate::{
    App,
    auth::SignedIn,
    page::{PageError, Shell, Theme, html_with},
};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    shell: Shell,
    key: String,
    form: SettingsForm,
    /// Clients of the sites that the reader sees.
    clients: BTreeSet<String>,
    zones: Vec<Zone>,
    choices: Vec<Choice>,
    /// Whether the policy was changed by hand and fits no answer.
    own_policy: bool,
    days_min: u16,
    days_max: u16,
    error: String,
    /// Whether what is shown was just saved.
    saved: bool,
}

/// Query parameters of the page.
#[derive(Deserialize)]
pub(super) struct Notice {
    saved: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SettingsForm {
    name: String,
    #[serde(default)]
    client: String,
    /// One host name per line.
    hostnames: String,
    time_zone: String,
    preset: String,
    retention_days: String,
}

impl SettingsForm {
    fn of(site: &Site) -> Self {
        Self {
            name: site.name.clone(),
            client: site.client.clone(),
            hostnames: site.hostnames.join("\n"),
            time_zone: site.time_zone.clone(),
            preset: site.preset.name().to_owned(),
            retention_days: site.retention_days.to_string(),
        }
    }

    /// Applies the form to the site. A policy refined by hand stays unless another answer is chosen.
    fn apply(&self, site: &Site) -> Result<Site, SiteError> {
        let hostnames = self
            .hostnames
            .split(|c: char| c.is_whitespace() || c == ',')
            .map(plain_host)
            .filter(|h| !h.is_empty())
            .map(normalise_hostname)
            .collect::<Result<Vec<_>, _>>()?;
        let preset = Preset::from_name(&self.preset).unwrap_or(site.preset);
        let changed = Site {
            name: self.name.trim().to_owned(),
            client: self.client.trim().to_owned(),
            hostnames,
            time_zone: self.time_zone.clone(),
            preset,
            policy: if preset == site.preset { site.policy } else { preset.policy() },
            retention_days: self.retention_days.trim().parse().map_err(|_| SiteError::Retention)?,
            ..site.clone()
        };
        changed.validate()?;
        Ok(changed)
    }
}

/// The result of submitting the form.
#[derive(PartialEq, Eq)]
enum Saving {
    /// Nothing was submitted.
    NotTried,
    Done,
    Refused(String),
}

fn page(
    status: StatusCode,
    theme: Theme,
    signed_in: &SignedIn,
    (site, all): (&Site, &[Site]),
    form: SettingsForm,
    outcome: Saving,
) -> Response {
    let preset = Preset::from_name(&form.preset).unwrap_or(site.preset);
    let page = SettingsPage {
        key: site.key.clone(),
        zones: zones(&form.time_zone),
        choices: choices(preset),
        clients: sites::clients(all),
        own_policy: site.policy != site.preset.policy(),
        days_min: RETENTION_DAYS_MIN,
        days_max: RETENTION_DAYS_MAX,
        form,
        saved: outcome == Saving::Done,
        error: if let Saving::Refused(error) = outcome { error } else { String::new() },
        shell: Shell {
            title: format!("Settings of {}", site.name),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(all, Some(site)),
        },
    };
    html_with(status, &page)
}

pub(super) async fn show(
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Query(notice): Query<Notice>,
) -> Result<Response, PageError> {
    let outcome = if notice.saved.is_some() { Saving::Done } else { Saving::NotTried };
    let (site, all) = signed_in.site(&key, Role::Editor)?;
    let form = SettingsForm::of(&site);
    Ok(page(StatusCode::OK, theme, &signed_in, (&site, &all), form, outcome))
}

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<SettingsForm>,
) -> Result<Response, PageError> {
    let (site, all) = signed_in.site(&key, Role::Editor)?;
    let changed = match form.apply(&site) {
        Ok(changed) => changed,
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(page(
                status,
                theme,
                &signed_in,
                (&site, &all),
                form,
                Saving::Refused(error.to_string()),
            ));
        }
    };
    sites::store_changed(&app, signed_in.user.id, &site, &changed).await?;
    Ok(Redirect::to(&format!("/s/{key}/settings?saved=yes")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::policy::Keep;

    fn site() -> Site {
        Site::new("A", &["example.org"], "UTC", Preset::Cnil).unwrap()
    }

    #[test]
    fn form_of_a_site_changes_nothing() {
        let site = site();
        assert_eq!(SettingsForm::of(&site).apply(&site), Ok(site));
    }

    #[test]
    fn policy_changed_by_hand_stays_until_another_answer_is_given() {
        let mut own = site();
        own.policy.campaign = Keep::Never;
        let mut form = SettingsForm::of(&own);
        assert_eq!(form.apply(&own).unwrap().policy, own.policy);
        form.preset = "strict".into();
        assert_eq!(form.apply(&own).unwrap().policy, Preset::Strict.policy());
    }

    #[test]
    fn value_that_is_not_allowed_is_refused() {
        let site = site();
        for (field, expected) in [("retention", SiteError::Retention), ("hosts", SiteError::Hostnames)] {
            let mut form = SettingsForm::of(&site);
            match field {
                "retention" => form.retention_days = "761".into(),
                _ => form.hostnames = " \n".into(),
            }
            assert_eq!(form.apply(&site), Err(expected));
        }
    }
}
