//! A letter: its text, its HTML with the chart, and the headers by which mail programs end a subscription with one click
//! (RFC 8058).

use askama::Template;
use lettre::{
    Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
};
use sotto_store::subscription::Kind;

use super::{MailError, alert::Alert, summary::Summary};
use crate::range::Range;

/// The name of the chart within a letter.
const CHART: &str = "chart";

/// Where a letter leads.
pub(crate) struct Links {
    /// The reports that it is about.
    pub(crate) reports: String,
    /// Where its subscriptions are changed.
    pub(crate) settings: String,
    /// The link that ends the subscription of who gets it.
    pub(crate) unsubscribe: String,
}

/// What a letter says.
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// The chart, as a PNG.
    picture: Option<Vec<u8>>,
}

#[derive(Template)]
#[template(path = "mail_report.html")]
struct ReportHtml<'a> {
    title: &'a str,
    summary: &'a Summary,
    links: &'a Links,
    chart: &'a str,
    kind: &'static str,
}

#[derive(Template)]
#[template(path = "mail_report.txt")]
struct ReportText<'a> {
    title: &'a str,
    summary: &'a Summary,
    links: &'a Links,
    kind: &'static str,
}

#[derive(Template)]
#[template(path = "mail_alert.html")]
struct AlertHtml<'a> {
    site: &'a str,
    alert: &'a Alert,
    links: &'a Links,
}

#[derive(Template)]
#[template(path = "mail_alert.txt")]
struct AlertText<'a> {
    site: &'a str,
    alert: &'a Alert,
    links: &'a Links,
}

/// What a kind of mail is called.
pub(crate) const fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Weekly => "weekly report",
        Kind::Monthly => "monthly report",
        Kind::Alerts => "alerts",
    }
}

/// The address of a site's reports of some days. `site` is that of its overview.
pub(crate) fn reports_of(site: &str, range: Range) -> String {
    format!("{site}?p=custom&from={}&to={}", range.from, range.to)
}

impl Letter {
    /// A report. `chart` is the address of its picture; `None`: the one within the letter.
    pub(crate) fn report(
        kind: Kind,
        summary: &Summary,
        links: &Links,
        chart: Option<&str>,
    ) -> Result<Self, MailError> {
        let kind = kind_label(kind);
        let title = format!("{}: {kind}, {}", summary.site, summary.days);
        let within = format!("cid:{CHART}");
        let chart = chart.unwrap_or(&within);
        Ok(Self {
            text: ReportText { title: &title, summary, links, kind }.render()?,
            html: ReportHtml { title: &title, summary, links, chart, kind }.render()?,
            picture: Some(summary.picture()),
            subject: title,
        })
    }

    /// Something unusual on a site.
    pub(crate) fn alert(site: &str, alert: &Alert, links: &Links) -> Result<Self, MailError> {
        Ok(Self {
            subject: format!("{site}: {}", alert.title),
            text: AlertText { site, alert, links }.render()?,
            html: AlertHtml { site, alert, links }.render()?,
            picture: None,
        })
    }

    /// The letter as it is handed to a mail server.
    pub(super) fn message(
        self,
        from: &Mailbox,
        to: Mailbox,
        id: &str,
        links: &Links,
    ) -> Result<Message, MailError> {
        let html = SinglePart::html(self.html);
        let alternatives = MultiPart::alternative().singlepart(SinglePart::plain(self.text));
        let body = match self.picture {
            None => alternatives.singlepart(html),
            Some(picture) => {
                let png = ContentType::parse("image/png").map_err(|_| MailError::Letter)?;
                let picture = Attachment::new_inline(CHART.to_owned()).body(picture, png);
                alternatives.multipart(MultiPart::related().singlepart(html).singlepart(picture))
            }
        };
        let host = from.email.domain();
        Ok(Message::builder()
            .from(from.clone())
            .to(to)
            .subject(self.subject)
            .message_id(Some(format!("<{id}@{host}>")))
            .header(ListUnsubscribe(format!("<{}>", links.unsubscribe)))
            .header(OneClick)
            .header(AutoSubmitted)
            .multipart(body)?)
    }
}

/// Where a mail program ends the subscription (RFC 2369).
#[derive(Clone)]
struct ListUnsubscribe(String);

/// That it may do so by itself when its user wants it (RFC 8058).
#[derive(Clone)]
struct OneClick;

/// That nobody waits for an answer, and programs are to send none (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

type ParseError = Box<dyn std::error::Error + Send + Sync>;

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        // It is of ASCII without spaces: an address of our own.
        HeaderValue::dangerous_new_pre_encoded(Self::name(), self.0.clone(), self.0.clone())
    }
}

impl Header for OneClick {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, ParseError> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, ParseError> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
