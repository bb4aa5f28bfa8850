//! `[mail]`: the server that takes reports and alerts.

use std::path::PathBuf;

use serde::Deserialize;
use sotto_store::account::normalise_email;

use super::{Wrong, first_wrong, is_loopback};

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Plain at first; nothing is sent before it is encrypted.
    #[default]
    Starttls,
    /// From the first byte.
    Implicit,
    /// Never; for a server on this machine only.
    None,
}

impl MailTls {
    /// The port on which servers usually take mail this way.
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// `[mail]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// Host name of the mail server. Default: none, no mail is sent.
    pub server: Option<String>,
    /// Its port. Default: 587, with `tls = "implicit"` 465, with `tls = "none"` 25.
    pub port: Option<u16>,
    /// "starttls", "implicit", or "none" for a server on this machine. Default: "starttls".
    pub tls: MailTls,
    /// File with a certificate, as PEM, that the server's may be signed by besides the usual authorities. Default: none.
    pub ca_file: Option<PathBuf>,
    /// User name at the mail server. Default: none, nobody signs in.
    pub user: Option<String>,
    /// File with the password, readable by Sotto's user only. Must be set if there is a user.
    pub password_file: Option<PathBuf>,
    /// Address from which mail comes, like "stats@example.org". Must be set if there is a server.
    pub from: Option<String>,
}

impl Mail {
    /// The port that is used.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.tls.usual_port())
    }

    pub(super) fn check(&self, public_url: Option<&str>) -> Option<Wrong> {
        let Self { server, port, tls, ca_file, user, password_file, from } = self;
        let on = server.is_some();
        let host = server.as_deref().unwrap_or_default();
        let sender = from.as_deref().unwrap_or_default();
        let named =
            host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) && !host.is_empty();
        let encrypted = *tls != MailTls::None;
        let rest =
            [port.is_some(), ca_file.is_some(), user.is_some(), password_file.is_some(), from.is_some()];
        first_wrong([
            (
                "mail.server",
                on || !rest.contains(&true),
                &"",
                "it must be set where mail is configured, like \"smtp.example.org\"",
            ),
            ("mail.server", !on || named, &host, "it must be a host name, like \"smtp.example.org\""),
            ("mail.port", *port != Some(0), &0, "it must be 1 to 65535"),
            (
                "mail.tls",
                !on || encrypted || is_loopback(host),
                &"none",
                "that is for a server on this machine only (127.0.0.1, [::1] or localhost); choose \"starttls\" or \"implicit\"",
            ),
            (
                "mail.ca_file",
                ca_file.is_none() || encrypted,
                &ca_file.as_ref().map_or_else(String::new, |path| path.display().to_string()),
                "without TLS there is no certificate to check",
            ),
            (
                "mail.password_file",
                user.is_some() == password_file.is_some(),
                &password_file.as_ref().map_or_else(String::new, |path| path.display().to_string()),
                "mail.user and mail.password_file must be set together",
            ),
            (
                "mail.from",
                !on || normalise_email(sender).is_ok(),
                &sender,
                "it must be an address like \"stats@example.org\"",
            ),
            (
                "public_url",
                !on || public_url.is_some(),
                &"",
                "it must be set where mail is sent, like \"https://stats.example.org\": letters have links",
            ),
        ])
    }
}
