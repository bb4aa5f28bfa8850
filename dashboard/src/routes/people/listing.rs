//! The page of people: who is shown to whom.

use std::collections::HashMap;

use askama::Template;
use axum::{http::StatusCode, response::Response};
use sotto_schema::{
    id::{SiteId, UserId},
    site::Site,
};
use sotto_store::account::{self, EMAIL_BYTES_MAX, INVITATION_DAYS, Invitation, Member, Role, User};

use crate::{
    App,
    auth::{ALL_SITES, SignedIn},
    page::{PageError, Shell, Theme, html_with},
    routes::dates,
};

const EVERYWHERE: &str = "All sites";

/// An invitation as typed.
#[derive(Default)]
pub(super) struct InviteForm {
    pub(super) email: String,
    pub(super) role: String,
    /// Keys of sites, or [`ALL_SITES`].
    pub(super) sites: Vec<String>,
}

impl InviteForm {
    /// Reads the fields as a browser sends them: `site` as often as one is chosen.
    pub(super) fn of(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "email" => form.email = value,
                "role" => form.role = value,
                "site" => form.sites.push(value),
                _ => {}
            }
        }
        form
    }
}

/// The link of a new invitation, shown once.
pub(super) struct Link {
    pub(super) email: String,
    pub(super) url: String,
}

/// What a form led to.
#[derive(Default)]
pub(super) struct Said {
    pub(super) done: &'static str,
    pub(super) error: String,
    pub(super) link: Option<Link>,
    pub(super) form: InviteForm,
}

/// A role of somebody on a site, or on all.
struct Held {
    /// As forms name it.
    site: String,
    place: String,
    role: &'static str,
    may_change: bool,
}

struct Person {
    id: String,
    name: String,
    email: String,
    is_reader: bool,
    held: Vec<Held>,
}

struct Open {
    id: String,
    email: String,
    places: String,
    role: &'static str,
    expires: String,
}

/// A site to which somebody can be invited.
struct Place {
    key: String,
    name: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    shell: Shell,
    people: Vec<Person>,
    invitations: Vec<Open>,
    places: Vec<Place>,
    roles: [&'static str; 3],
    may_remove: bool,
    said: Said,
    days: i64,
    email_max: usize,
}

/// Whether somebody may see and withdraw an invitation: they sent it, or they own all that it gives.
pub(super) fn may_withdraw(reader: &SignedIn, invitation: &Invitation) -> bool {
    invitation.inviter == reader.user.id || reader.may_invite(&invitation.sites)
}

/// The roles of a user that concern what the reader owns.
fn held(reader: &SignedIn, sites: &[Site], roles: &[Member]) -> Vec<Held> {
    let of = |member: &Member| {
        let (site, place) = if member.site.is_none() {
            (ALL_SITES.to_owned(), EVERYWHERE.to_owned())
        } else {
            let site = sites.iter().find(|s| s.id == member.site)?;
            (site.key.clone(), site.name.clone())
        };
        let may_change = reader.may_invite(&[member.site]);
        (may_change || member.site.is_none()).then(|| Held {
            site,
            place,
            role: member.role.name(),
            may_change,
        })
    };
    roles.iter().filter_map(of).collect()
}

/// Who has a role on what the reader owns; for owners of the installation, everybody.
fn people(reader: &SignedIn, sites: &[Site], members: &[Member], users: Vec<User>) -> Vec<Person> {
    let mut roles: HashMap<UserId, Vec<Member>> = HashMap::new();
    for member in members {
        roles.entry(member.user).or_default().push(*member);
    }
    let person = |user: User| Person {
        held: held(reader, sites, roles.get(&user.id).map_or(&[], Vec::as_slice)),
        id: user.id.to_string(),
        is_reader: user.id == reader.user.id,
        name: user.name,
        email: user.email,
    };
    let mut people: Vec<Person> = users.into_iter().map(person).collect();
    people.retain(|person| reader.owns_all() || !person.held.is_empty());
    people
}

fn open(reader: &SignedIn, sites: &[Site], invitations: Vec<Invitation>) -> Vec<Open> {
    let place = |id: &SiteId| match sites.iter().find(|s| s.id == *id) {
        Some(site) => site.name.clone(),
        None if id.is_some() => "a removed site".to_owned(),
        None => EVERYWHERE.to_owned(),
    };
    let shown = invitations.into_iter().filter(|invitation| may_withdraw(reader, invitation));
    let line = |invitation: Invitation| Open {
        id: blake3::Hash::from(invitation.id).to_string(),
        places: invitation.sites.iter().map(place).collect::<Vec<_>>().join(", "),
        email: invitation.email,
        role: invitation.role.name(),
        expires: dates::minute(invitation.expires_ms),
    };
    shown.map(line).collect()
}

fn places(reader: &SignedIn, sites: &[Site], form: &InviteForm) -> Vec<Place> {
    let place = |key: &str, name: &str| Place {
        chosen: form.sites.iter().any(|chosen| chosen == key),
        key: key.to_owned(),
        name: name.to_owned(),
    };
    let all = reader.owns_all().then(|| place(ALL_SITES, "All sites, also later ones"));
    let owned = sites.iter().filter(|site| reader.role(site.id) == Some(Role::Owner));
    all.into_iter().chain(owned.map(|site| place(&site.key, &site.name))).collect()
}

/// The page, with what a form led to.
pub(super) async fn page(
    app: &App,
    theme: Theme,
    reader: &SignedIn,
    status: StatusCode,
    said: Said,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (users, members, invitations) =
        tokio::try_join!(account::users(db), account::members(db), account::invitations(db))?;
    let sites = reader.sites();
    let page = PeoplePage {
        people: people(reader, &sites, &members, users),
        invitations: open(reader, &sites, invitations),
        places: places(reader, &sites, &said.form),
        roles: Role::ALL.map(Role::name),
        may_remove: reader.owns_all(),
        shell: Shell { who: Some(reader.who()), ..Shell::bare("People", theme) },
        said,
        days: INVITATION_DAYS,
        email_max: EMAIL_BYTES_MAX,
    };
    Ok(html_with(status, &page))
}
