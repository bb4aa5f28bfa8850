//! How visitors were counted: the promise of two tiers, made visible.

use sotto_schema::{policy::Preset, site::Site};

use crate::{
    figures::{grouped, share},
    report::Consent,
};

/// One part of the whole.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) count: String,
    pub(super) share: String,
    /// Where its bar begins and how long it is, in per cent.
    pub(super) x: String,
    pub(super) width: String,
}

pub(super) struct Strip {
    pub(super) pageviews: u64,
    pub(super) counted: Vec<Part>,
    pub(super) consent: Vec<Part>,
    pub(super) gpc: String,
    pub(super) sentence: &'static str,
}

type Word = (&'static str, &'static str, &'static str, u64);

#[allow(clippy::cast_precision_loss)] // Bars are drawn.
fn parts(words: &[Word], total: u64) -> Vec<Part> {
    let whole = total.max(1) as f64;
    let mut x = 0.0;
    words
        .iter()
        .map(|(class, label, help, count)| {
            let width = 100.0 * *count as f64 / whole;
            let part = Part {
                class,
                label,
                help,
                count: grouped(*count),
                share: share(*count, total),
                x: format!("{x:.2}"),
                width: format!("{width:.2}"),
            };
            x += width;
            part
        })
        .collect()
}

const fn sentence(preset: Preset) -> &'static str {
    match preset {
        Preset::Cnil => "Everybody is counted as a plain visit unless they object; details wait for consent.",
        Preset::Strict => {
            // claim: refusal
            "Only visitors who agreed are counted as visits; everybody else is an anonymous pageview."
        }
        // claim: no-cookie
        Preset::Cookieless => "Everybody is counted without cookies unless they object.",
    }
}

pub(super) fn build(c: &Consent, site: &Site) -> Strip {
    let total = c.pageviews();
    let counted = [
        ("full", "with a visit", "Counted with visitor key, visit and reading time.", c.full),
        (
            "anonymous",
            "anonymously",
            "Counted as a bare pageview: page, referring host, country, device class.",
            c.anonymous,
        ),
    ];
    let consent = [
        ("granted", "agreed", "The visitor agreed to analytics.", c.granted),
        (
            "undecided",
            "not asked or undecided",
            "The visitor has not answered, or your site does not ask.",
            c.undecided,
        ),
        ("refused", "refused", "The visitor, or their browser, refused analytics.", c.refused),
    ];
    Strip {
        pageviews: total,
        counted: parts(&counted, total),
        consent: parts(&consent, total),
        gpc: share(c.gpc, total),
        sentence: sentence(site.preset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_side_by_side_and_fill_the_whole() {
        let parts = parts(&[("a", "", "", 1), ("b", "", "", 3)], 4);
        assert_eq!((parts[0].x.as_str(), parts[0].width.as_str()), ("0.00", "25.00"));
        assert_eq!((parts[1].x.as_str(), parts[1].width.as_str()), ("25.00", "75.00"));
    }

    #[test]
    fn parts_of_nothing_are_nothing() {
        assert_eq!(parts_of_nothing(), "0.00");
    }

    fn parts_of_nothing() -> String {
        parts(&[("a", "", "", 0)], 0)[0].width.clone()
    }
}
