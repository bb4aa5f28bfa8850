//! The link in a letter that ends its subscription, without signing in (RFC 8058). Looking at it ends nothing: programs that
//! check mail follow links. Whoever has the letter has the link, and it opens nothing else.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sotto_schema::id::{SiteId, UserId};
use sotto_store::{
    account::secret_hash,
    audit::{self, Action},
    sites,
    subscription::{self, Kind},
};

use crate::{
    App,
    mail::{UNSUBSCRIBE, letter::kind_label},
    page::{PageError, Shell, Theme, html},
};

/// Length of a link's secret: 32 bytes in hexadecimal.
const SECRET_CHARS: usize = 64;

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePage {
    shell: Shell,
    kind: &'static str,
    site: String,
    path: String,
    ended: bool,
}

async fn find(app: &App, secret: &str) -> Result<(SiteId, UserId, Kind), PageError> {
    if secret.len() != SECRET_CHARS {
        return Err(PageError::NotFound);
    }
    let db = &app.settings.databases.writer;
    subscription::of_secret(db, secret_hash(secret)).await?.ok_or(PageError::NotFound)
}

async fn page(
    app: &App,
    theme: Theme,
    (site, kind): (SiteId, Kind),
    secret: &str,
    ended: bool,
) -> Result<Response, PageError> {
    let all = sites::all(&app.settings.databases.reader).await?;
    let site = all.into_iter().find(|known| known.id == site);
    let page = UnsubscribePage {
        kind: kind_label(kind),
        site: site.map_or_else(|| "a site that is gone".to_owned(), |site| site.name),
        path: [UNSUBSCRIBE, secret].concat(),
        ended,
        shell: Shell::bare("Unsubscribe", theme),
    };
    Ok(html(&page))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    let (site, user, kind) = find(&app, &secret).await?;
    let known = subscription::all(&app.settings.databases.writer, site).await?;
    let there = known.iter().any(|known| (known.user, known.kind) == (user, kind));
    page(&app, theme, (site, kind), &secret, !there).await
}

/// Ends the subscription. Done again, it says the same.
pub(super) async fn end(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    let (site, user, kind) = find(&app, &secret).await?;
    let db = &app.settings.databases.writer;
    if subscription::remove(db, (site, user, kind)).await? {
        audit::append(db, user, Action::MailRemove, site, &format!("{} by its link", kind_label(kind)))
            .await?;
    }
    page(&app, theme, (site, kind), &secret, true).await
}
