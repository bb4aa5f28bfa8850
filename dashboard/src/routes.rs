//! The pages.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use crate::{App, assets, auth::SignedIn};

mod account;
mod annotations;
mod badge;
mod columns;
mod consent;
mod data_inventory;
mod dates;
mod details;
mod filter;
mod funnels;
mod goals;
mod hours;
mod install;
mod invitation;
mod list;
mod mail;
mod marks;
mod not_found;
mod overlay;
mod overview;
mod own_password;
mod paths;
mod people;
mod period;
mod policy_choice;
mod quality;
mod realtime;
mod segments;
mod set_up;
mod settings;
mod shared;
mod sharing;
mod sign_in;
mod sites;
mod steps;
mod trust;
mod two_step;
mod unmeasured;
mod unsubscribe;
mod webhooks;
mod withheld;

pub(crate) use badge::Badges;
pub(crate) use install::seen;
pub(crate) use quality::words;
pub(crate) use realtime::Watchers;
pub(crate) use sites::{store, store_changed};
pub(crate) use trust::Trust;

/// The largest form, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn pages() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(home))
        .route("/setup/{token}", get(set_up::show).post(set_up::submit))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/code", post(sign_in::submit_code))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions/end", post(account::end_sessions))
        .route("/account/tokens", post(account::add_token))
        .route("/account/tokens/remove", post(account::remove_token))
        .route("/account/two-step", get(two_step::show))
        .route("/account/two-step/on", post(two_step::switch_on))
        .route("/account/two-step/off", post(two_step::switch_off))
        .route("/people", get(people::show))
        .route("/people/invite", post(people::invite))
        .route("/people/withdraw", post(people::withdraw))
        .route("/people/role", post(people::give_role))
        .route("/people/role/remove", post(people::take_role))
        .route("/people/remove", post(people::remove))
        .route("/invitation/{secret}", get(invitation::show).post(invitation::accept))
        .route("/sites", get(sites::list))
        .route("/sites/new", get(sites::show_new).post(sites::add))
        .route("/switch", get(sites::switch))
        .route("/s/{key}", get(overview::show))
        .route("/s/{key}/list/{by}", get(list::show))
        .route("/s/{key}/filter", get(filter::show))
        .route("/s/{key}/segments", post(segments::add))
        .route("/s/{key}/segments/rename", post(segments::rename))
        .route("/s/{key}/segments/remove", post(segments::remove))
        .route("/s/{key}/goals", get(goals::show).post(goals::add))
        .route("/s/{key}/goals/remove", post(goals::remove))
        .route("/s/{key}/annotations", get(annotations::show).post(annotations::add))
        .route("/s/{key}/annotations/remove", post(annotations::remove))
        .route("/s/{key}/hours", get(hours::show))
        .route("/s/{key}/not-found", get(not_found::show))
        .route("/s/{key}/paths", get(paths::show))
        .route("/s/{key}/funnels", get(funnels::list).post(funnels::add))
        .route("/s/{key}/funnels/remove", post(funnels::remove))
        .route("/s/{key}/funnels/{id}", get(funnels::show))
        .route("/s/{key}/now", get(realtime::show))
        .route("/s/{key}/now/stream", get(realtime::stream))
        .route("/s/{key}/quality", get(quality::show))
        .route("/s/{key}/consent", get(consent::show))
        .route("/s/{key}/stored", get(data_inventory::show))
        .route("/s/{key}/settings", get(settings::show).post(settings::submit))
        .route("/s/{key}/install", get(install::show))
        .route("/s/{key}/sharing", get(sharing::show).post(sharing::make))
        .route("/s/{key}/sharing/withdraw", post(sharing::withdraw))
        .route("/s/{key}/sharing/public", post(sharing::set_public))
        .merge(told())
        .route("/s/{key}/{details}", get(details::show))
        .route("/s/{key}/{details}/{by}", get(details::show_by))
        .route("/shared/{secret}", get(overview::show).post(shared::unlock))
        .route("/shared/{secret}/list/{by}", get(list::show))
        .route("/shared/{secret}/filter", get(filter::show))
        .route("/shared/{secret}/goals", get(goals::show))
        .route("/shared/{secret}/consent", get(consent::show))
        .route("/public/{public}", get(overview::show))
        .route("/public/{public}/list/{by}", get(list::show))
        .route("/public/{public}/filter", get(filter::show))
        .route("/public/{public}/badge.svg", get(badge::show))
        .route("/overlay/{link}", get(overlay::show))
        .route("/trust/{key}", get(trust::show))
        .route("/assets/{file}", get(assets::serve))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}

/// Who is told of a site without looking.
fn told() -> Router<Arc<App>> {
    Router::new()
        .route("/s/{key}/mail", get(mail::show).post(mail::choose))
        .route("/s/{key}/mail/add", post(mail::add))
        .route("/s/{key}/mail/remove", post(mail::remove))
        .route("/s/{key}/mail/preview", get(mail::show_letter))
        .route("/s/{key}/webhooks", get(webhooks::show).post(webhooks::add))
        .route("/s/{key}/webhooks/remove", post(webhooks::remove))
        .route("/s/{key}/webhooks/test", post(webhooks::test))
        .route("/unsubscribe/{secret}", get(unsubscribe::show).post(unsubscribe::end))
}

/// Opens the only site, or the list of sites.
async fn home(signed_in: SignedIn) -> Response {
    let sites = signed_in.sites();
    let to = match sites.as_slice() {
        [site] => format!("/s/{}", site.key),
        _ => "/sites".to_owned(),
    };
    Redirect::to(&to).into_response()
}
