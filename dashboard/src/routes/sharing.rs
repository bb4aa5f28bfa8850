//! How the reports of a site are shared with people who have no account: links by secret, and the switch that lets anybody
//! read. For editors and owners of the site; the secret of a link is shown once.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::site::Site;
use sotto_store::{
    account::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Role},
    audit::{self, Action},
    sharing::{
        self, LINK_FILTERS_MAX, LINK_HOSTS_MAX, LINK_NAME_BYTES_MAX, NewLink, SharedLink, SharingError,
    },
};

use super::{dates, overview::header::in_words, sites};
use crate::{
    App,
    auth::SignedIn,
    filter::{self, Filter},
    page::{PageError, Shell, Theme, html_with},
    reading::of_sharing,
    report::groups::GROUP_MIN,
    view::typed_filter,
};

/// After how many days links can expire, as offered, with what people call it.
const LIFETIMES: [(&str, &str); 5] = [
    ("", "never"),
    ("7", "after 7 days"),
    ("30", "after 30 days"),
    ("90", "after 90 days"),
    ("365", "after a year"),
];

/// A link as it is listed.
struct Listed {
    id: String,
    name: String,
    /// What is special about it, for people.
    about: String,
    made: String,
    expires: String,
    used: String,
}

/// A link that was just made: shown once.
struct Made {
    name: String,
    url: String,
    /// Whether a page may embed it.
    embeds: bool,
}

/// What was done, or why not.
#[derive(Default)]
struct Said {
    done: &'static str,
    error: String,
    made: Option<Made>,
    form: LinkForm,
}

#[derive(Template)]
#[template(path = "sharing.html")]
struct SharingPage {
    shell: Shell,
    key: String,
    links: Vec<Listed>,
    said: Said,
    public: bool,
    public_url: String,
    group_min: u64,
    lifetimes: [(&'static str, &'static str); 5],
    /// The fields and conditions of filters, with their labels.
    fields: Vec<(&'static str, &'static str)>,
    verbs: Vec<(&'static str, &'static str)>,
    filters_max: usize,
    hosts_max: usize,
    name_max: usize,
    password_min: usize,
    password_max: usize,
}

/// A filter as typed.
#[derive(Clone, Default)]
struct TypedFilter {
    field: String,
    verb: String,
    value: String,
}

/// A link as typed.
#[derive(Default)]
pub(super) struct LinkForm {
    name: String,
    password: String,
    days: String,
    filters: Vec<TypedFilter>,
    goals: bool,
    consent: bool,
    /// One host per line.
    hosts: String,
}

impl LinkForm {
    /// Reads the fields as a browser sends them: field, condition and value once for each filter.
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "name" => form.name = value,
                "password" => form.password = value,
                "days" => form.days = value,
                "goals" => form.goals = true,
                "consent" => form.consent = true,
                "hosts" => form.hosts = value,
                "field" => form.filters.push(TypedFilter { field: value, ..TypedFilter::default() }),
                "verb" => form.filters.last_mut().into_iter().for_each(|f| f.verb.clone_from(&value)),
                "value" => form.filters.last_mut().into_iter().for_each(|f| f.value.clone_from(&value)),
                _ => {}
            }
        }
        form.filters.retain(|filter| !filter.field.is_empty());
        form
    }

    /// Whether a field was chosen for the filter of that number; for templates.
    fn is_field(&self, n: &usize, name: &str) -> bool {
        self.filters.get(*n).is_some_and(|filter| filter.field == name)
    }

    /// The same of a condition.
    fn is_verb(&self, n: &usize, name: &str) -> bool {
        self.filters.get(*n).is_some_and(|filter| filter.verb == name)
    }

    fn value(&self, n: &usize) -> &str {
        self.filters.get(*n).map_or("", |filter| filter.value.as_str())
    }

    /// The link that is asked for, or what is wrong with it, for people.
    fn link(&self) -> Result<NewLink, String> {
        let filter = |typed: &TypedFilter| {
            let filter = typed_filter(Some(&typed.field), Some(&typed.verb), Some(&typed.value));
            // Everything contains nothing: it would lay down nothing.
            let filter = filter.filter(|f| !f.lays_down_nothing());
            filter
                .map(|f| f.to_string())
                .ok_or_else(|| "a fixed filter has a field, a condition and a value".to_owned())
        };
        let days = match self.days.as_str() {
            "" => None,
            days => Some(days.parse().map_err(|_| SharingError::Days.to_string())?),
        };
        let hosts = self.hosts.split(|c: char| c.is_whitespace() || c == ',');
        Ok(NewLink {
            name: self.name.clone(),
            password: self.password.clone(),
            days,
            filters: self.filters.iter().map(filter).collect::<Result<_, _>>()?,
            goals: self.goals,
            consent: self.consent,
            hosts: hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect(),
        })
    }
}

/// Query parameters of the page.
#[derive(Deserialize)]
pub(super) struct Notice {
    done: Option<String>,
}

/// The link to be withdrawn.
#[derive(Deserialize)]
pub(super) struct WithdrawForm {
    id: String,
}

/// Whether anybody may read.
#[derive(Deserialize)]
pub(super) struct PublicForm {
    public: String,
}

fn listed(link: &SharedLink) -> Listed {
    let mut about = Vec::new();
    if link.password.is_some() {
        about.push("with a password".to_owned());
    }
    let filters = link.filters.iter().filter_map(|text| Filter::parse(text));
    about.extend(filters.map(|filter| format!("only {}", in_words(&filter))));
    let more = [(link.goals, "goals"), (link.consent, "consent")];
    about.extend(more.into_iter().filter(|(shown, _)| *shown).map(|(_, name)| format!("with {name}")));
    if !link.hosts.is_empty() {
        about.push(format!("embedded by {}", link.hosts.join(", ")));
    }
    Listed {
        id: blake3::Hash::from(link.id).to_hex().to_string(),
        name: link.name.clone(),
        about: about.join("; "),
        made: dates::day(link.created_ms),
        expires: link
            .expires_ms
            .map_or_else(|| "does not expire".to_owned(), |ms| format!("until {}", dates::minute(ms))),
        used: link.used.map_or_else(
            || "not used yet".to_owned(),
            |day| format!("last used on {}", day.date().strftime("%-d %b %Y")),
        ),
    }
}

async fn page(
    (app, theme, editor): (&App, Theme, &SignedIn),
    (site, all): (&Site, &[Site]),
    status: StatusCode,
    said: Said,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let links = sharing::links(db, site.id).await.map_err(of_sharing)?;
    let public = sharing::public_sites(db).await?;
    let page = SharingPage {
        key: site.key.clone(),
        links: links.iter().map(listed).collect(),
        said,
        public: public.contains(&site.id),
        public_url: format!("{}/public/{}", app.settings.public_url, site.key),
        group_min: GROUP_MIN,
        lifetimes: LIFETIMES,
        fields: filter::field::choices(true),
        verbs: filter::verb::choices(),
        filters_max: LINK_FILTERS_MAX,
        hosts_max: LINK_HOSTS_MAX,
        name_max: LINK_NAME_BYTES_MAX,
        password_min: PASSWORD_CHARS_MIN,
        password_max: PASSWORD_BYTES_MAX,
        shell: Shell {
            title: format!("Sharing {}", site.name),
            theme,
            who: Some(editor.who()),
            sites: sites::links(all, Some(site)),
        },
    };
    Ok(html_with(status, &page))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    editor: SignedIn,
    Path(key): Path<String>,
    Query(notice): Query<Notice>,
) -> Result<Response, PageError> {
    let (site, all) = editor.site(&key, Role::Editor)?;
    let done = match notice.done.as_deref() {
        Some("withdrawn") => "The link is withdrawn. It shows nothing any more.",
        Some("public") => "Anybody may read the overview and the lists from now on.",
        Some("private") => "Nobody reads without an account or a link any more.",
        Some(_) | None => "",
    };
    page((&app, theme, &editor), (&site, &all), StatusCode::OK, Said { done, ..Said::default() }).await
}

pub(super) async fn make(
    State(app): State<Arc<App>>,
    theme: Theme,
    editor: SignedIn,
    Path(key): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let (site, all) = editor.site(&key, Role::Editor)?;
    let form = LinkForm::of(fields);
    let db = &app.settings.databases.writer;
    let _alone = app.people.lock().await;
    let error = match form.link() {
        Ok(new) => match sharing::make(db, &app.hasher, site.id, &new).await {
            Ok((link, secret)) => {
                let detail = format!("link {}", link.number());
                audit::append(db, editor.user.id, Action::LinkAdd, site.id, &detail).await?;
                let url = [&app.settings.public_url, "/shared/", &secret].concat();
                let made = Some(Made { name: link.name, url, embeds: !link.hosts.is_empty() });
                let said = Said { made, ..Said::default() };
                return page((&app, theme, &editor), (&site, &all), StatusCode::OK, said).await;
            }
            Err(refused) if refused.is_refusal() => refused.to_string(),
            Err(error) => return Err(of_sharing(error)),
        },
        Err(error) => error,
    };
    let said = Said { error: format!("Please check: {error}."), form, ..Said::default() };
    page((&app, theme, &editor), (&site, &all), StatusCode::UNPROCESSABLE_ENTITY, said).await
}

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    editor: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<WithdrawForm>,
) -> Result<Response, PageError> {
    let (site, _) = editor.site(&key, Role::Editor)?;
    let id = blake3::Hash::from_hex(&form.id).map_err(|_| PageError::NotFound)?;
    let db = &app.settings.databases.writer;
    let link = sharing::withdraw(db, site.id, id.into()).await.map_err(of_sharing)?;
    let link = link.ok_or(PageError::NotFound)?;
    audit::append(db, editor.user.id, Action::LinkWithdraw, site.id, &format!("link {}", link.number()))
        .await?;
    Ok(Redirect::to(&format!("/s/{key}/sharing?done=withdrawn")).into_response())
}

pub(super) async fn set_public(
    State(app): State<Arc<App>>,
    editor: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<PublicForm>,
) -> Result<Response, PageError> {
    let (site, _) = editor.site(&key, Role::Editor)?;
    let (public, action, done) = match form.public.as_str() {
        "on" => (true, Action::PublicOn, "public"),
        "off" => (false, Action::PublicOff, "private"),
        _ => return Err(PageError::NotFound),
    };
    let db = &app.settings.databases.writer;
    sharing::set_public(db, site.id, public).await.map_err(of_sharing)?;
    app.trust.forget(&key).await;
    audit::append(db, editor.user.id, action, site.id, "").await?;
    Ok(Redirect::to(&format!("/s/{key}/sharing?done={done}")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> LinkForm {
        LinkForm::of(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn filters_are_read_in_the_words_that_are_stored() {
        let typed = [
            ("field", "country"),
            ("verb", "is"),
            ("value", "Germany"),
            ("field", ""),
            ("verb", "is"),
            ("value", ""),
            ("field", "page"),
            ("verb", "has"),
            ("value", "/blog"),
        ];
        assert_eq!(form(&typed).link().unwrap().filters, ["country:is:DE", "page:has:/blog"]);
    }

    #[test]
    fn filter_that_lays_down_nothing_is_refused() {
        for (field, verb, value) in [
            ("page", "has", ""),
            ("page", "starts", ""),
            ("page", "like", "*"),
            ("planet", "is", "Mars"),
            ("day", "is", "2026-01-01"),
        ] {
            let typed = form(&[("field", field), ("verb", verb), ("value", value)]);
            assert!(typed.link().is_err(), "{field} {verb} {value:?}");
        }
    }
}
