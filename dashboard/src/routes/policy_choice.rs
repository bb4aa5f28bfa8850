//! The one question about consent, and what its answers mean, in plain words.

use sotto_schema::policy::Preset;

/// An answer to "How may Sotto count your visitors?".
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) checked: bool,
}

/// The answers, with `chosen` marked.
pub(crate) fn choices(chosen: Preset) -> Vec<Choice> {
    Preset::ALL
        .into_iter()
        .map(|preset| {
            let (title, text) = words(preset);
            Choice { name: preset.name(), title, text, checked: preset == chosen }
        })
        .collect()
}

const fn words(preset: Preset) -> (&'static str, &'static str) {
    match preset {
        Preset::Cnil => (
            "Count everybody, ask for the rest",
            "Plain visits are counted without a banner, as the French regulator CNIL allows; whoever objects is counted anonymously. Campaigns and details wait for a yes in your banner.",
        ),
        Preset::Strict => (
            "Ask first, always",
            "Until somebody says yes in your banner, they are only an anonymous pageview without visit or visitor. The safest answer where a privacy policy promises it.",
        ),
        Preset::Cookieless => (
            "Count without a banner",
            "Visits and campaigns are counted from the start, without cookies and without recognising anybody tomorrow. Whoever objects is counted anonymously.",
        ),
    }
}
