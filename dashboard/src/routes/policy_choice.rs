//! The question about consent, and its answers in plain words.

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
            "Plain visits count without a banner, as the French regulator CNIL allows. Campaigns and details wait for a yes.",
        ),
        Preset::Strict => (
            "Ask first, always",
            "Without a yes in your banner, people are bare pageviews: no visit, no visitor. Choose it if your policy promises consent.",
        ),
        Preset::Cookieless => (
            "Count without a banner",
            // claim: no-cookie day-key objection
            "Visits and campaigns count from the start, without cookies and without knowing anybody tomorrow. Objections are honoured.",
        ),
    }
}
