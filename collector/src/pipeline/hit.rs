//! The parsed form of a hit, common to all wire formats: bounded, but not yet sanitised, and never stored as
//! it is.

use compact_str::CompactString;
use http::HeaderMap;
use sotto_schema::{
    event::Kind,
    id::{ReturningId, ViewId},
    policy::Category,
    rowbinary::Decimal4,
};

/// What one request said about one thing that happened on a page.
///
/// Has no `Serialize`: only [`sotto_schema::event::Event`] leaves the pipeline.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hit {
    /// Public key of the site, or its host name in formats that name sites so.
    pub site: CompactString,
    /// What happened.
    pub kind: Kind,
    /// Number of the page view; 0 when the format has none.
    pub view: ViewId,
    /// Counter within the page view.
    pub seq: u32,
    /// `(view, seq)` is unique: a repeat is a browser retry.
    pub numbered: bool,
    /// The visitor's decision as a mask of categories; `None` while undecided.
    pub consent: Option<u8>,
    /// How long ago it happened, in milliseconds, at most 24 hours, as the browser says.
    pub age_ms: u32,
    /// Number of the random id of a visitor who consented to analytics; 0 when there is none.
    pub returning: ReturningId,
    /// The browser said that it is driven by a program.
    pub automated: bool,
    /// Absolute URL of the page; empty for kinds that belong to a page view already sent.
    pub url: String,
    /// Referrer as the browser gave it; empty when there is none.
    pub referrer: String,
    /// Viewport width in CSS pixels.
    pub width: Option<u16>,
    /// Visible time since the last report, in milliseconds.
    pub engaged_ms: u32,
    /// Deepest scroll position in per cent, 0 to 100.
    pub scroll: u8,
    /// Name of a custom event.
    pub name: CompactString,
    /// Whether a custom event counts as an interaction.
    pub interactive: bool,
    /// What the site says about a custom event.
    pub props: Vec<(CompactString, CompactString)>,
    /// Worth of a custom event and its ISO 4217 currency.
    pub revenue: Option<(Decimal4, CompactString)>,
    /// Web vitals.
    pub vitals: Vitals,
    /// Clicks of a click map.
    pub clicks: Vec<Click>,
    /// How a consent decision came about.
    pub decision: Option<Box<Decision>>,
}

impl Hit {
    /// Treats the hit as one from a visitor who refused everything refusable. A decision itself is left
    /// unchanged.
    pub fn refuse_all(&mut self) {
        if self.kind != Kind::Consent {
            self.consent = Some(Category::Essential as u8);
        }
    }
}

/// How a consent decision came about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Who asked: the name of a consent manager's adapter; empty for a call of the page.
    pub source: CompactString,
    /// Categories of the consent manager that no mapping knows.
    pub unmapped: Vec<CompactString>,
    /// The visitor's receipt, where our banner asked.
    pub receipt: Option<Receipt>,
}

/// A receipt that the visitor also holds. Its number is random and identifies nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Random number of the decision.
    pub id: CompactString,
    /// Version of the policy that was shown.
    pub policy: CompactString,
    /// Language of the notice.
    pub language: CompactString,
    /// The browser sent Global Privacy Control.
    pub gpc: bool,
}

/// Web vitals of one page view; 0 stands for not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Largest Contentful Paint in milliseconds.
    pub lcp_ms: u32,
    /// First Contentful Paint in milliseconds.
    pub fcp_ms: u32,
    /// Interaction to Next Paint in milliseconds.
    pub inp_ms: u32,
    /// Time to First Byte in milliseconds.
    pub ttfb_ms: u32,
    /// Cumulative Layout Shift in thousandths.
    pub cls_milli: u32,
}

/// One click of a click map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Click {
    /// Structural path of the element.
    pub path: CompactString,
    /// x and y within the element in thousandths, x within the page in thousandths, y in pixels.
    pub at: [u32; 4],
}

/// The request's headers; borrowed, never kept beyond the pipeline.
///
/// Has no `Debug`: the user agent must not reach a log.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// `Sec-CH-UA`.
    pub ch_brands: Option<&'a str>,
    /// `Sec-CH-UA-Mobile`.
    pub ch_mobile: Option<&'a str>,
    /// `Sec-CH-UA-Platform`.
    pub ch_platform: Option<&'a str>,
    /// `Sec-CH-UA-Platform-Version`.
    pub ch_platform_version: Option<&'a str>,
    /// `Accept-Language`.
    pub accept_language: &'a str,
    /// `Sec-GPC` is exactly `1`.
    pub gpc: bool,
    /// The user agent was claimed in a body by a sender with a token, so the other headers are the sender's.
    pub is_claimed: bool,
}

impl<'a> Headers<'a> {
    /// Reads a request's headers; those that are not text count as absent.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            user_agent: get("user-agent").unwrap_or_default(),
            ch_brands: get("sec-ch-ua"),
            ch_mobile: get("sec-ch-ua-mobile"),
            ch_platform: get("sec-ch-ua-platform"),
            ch_platform_version: get("sec-ch-ua-platform-version"),
            accept_language: get("accept-language").unwrap_or_default(),
            // W3C GPC: only the value 1 is a signal; of several headers, one with it is enough.
            gpc: headers.get_all("sec-gpc").iter().any(|value| value.as_bytes() == b"1"),
            is_claimed: false,
        }
    }

    /// The same with the user agent that the sender claims for the visitor, and without the sender's own
    /// client hints.
    #[must_use]
    pub fn claiming(&self, user_agent: &'a str) -> Self {
        Self {
            user_agent,
            ch_brands: None,
            ch_mobile: None,
            ch_platform: None,
            ch_platform_version: None,
            is_claimed: true,
            ..*self
        }
    }
}
