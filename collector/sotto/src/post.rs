//! Mail, as the configuration says: reads the files that it names and hands the rest to the dashboard.

use std::{fs, path::Path, sync::Arc};

use jiff::Timestamp;
use sotto_collector::config::{Config, MailTls};
use sotto_dashboard::mail::{self, MailServer, Office, Security};
use sotto_store::db::Databases;

use crate::{
    failure::Failure,
    serve::rounds::{GoOn, SendDue, Sent},
};

/// What sends mail, if a mail server is configured.
pub fn make(config: &Config, databases: Databases) -> Result<Option<SendDue>, Failure> {
    let Some(server) = server(config)? else { return Ok(None) };
    let office = Office::new(databases, config.public_url(), server)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let office = Arc::new(office);
    Ok(Some(Arc::new(move |now_ms, go_on: GoOn| {
        let office = office.clone();
        Box::pin(async move {
            let now = Timestamp::from_millisecond(now_ms).map_err(|error| error.to_string())?;
            let round = office.round(now, &*go_on).await.map_err(|error| Failure::new(error).to_string())?;
            Ok(Sent { sent: round.sent, failed: round.failed })
        })
    })))
}

/// Whether the mail server takes letters; none where none is configured.
pub async fn check(config: &Config) -> Option<Result<(), String>> {
    match server(config) {
        Err(failure) => Some(Err(failure.to_string())),
        Ok(None) => None,
        Ok(Some(server)) => {
            let answer = mail::check(&server, &config.public_url()).await;
            Some(answer.map_err(|error| error.to_string()))
        }
    }
}

fn server(config: &Config) -> Result<Option<MailServer>, Failure> {
    let named = &config.mail;
    let (Some(host), Some(from)) = (&named.server, &named.from) else { return Ok(None) };
    let credentials = match (&named.user, &named.password_file) {
        (Some(user), Some(path)) => Some((user.clone(), password(path)?)),
        _ => None,
    };
    let authority = named.ca_file.as_ref().map(|path| fs::read(path).map_err(|e| Failure::file(path, &e)));
    Ok(Some(MailServer {
        host: host.clone(),
        port: named.port(),
        security: match named.tls {
            MailTls::Starttls => Security::Starttls,
            MailTls::Implicit => Security::Implicit,
            MailTls::None => Security::None,
        },
        authority: authority.transpose()?,
        credentials,
        from: from.clone(),
    }))
}

/// The first line of a file.
fn password(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(Failure::usage(format!("mail.password_file = {}: it holds no password", path.display())));
    }
    Ok(password.to_owned())
}
