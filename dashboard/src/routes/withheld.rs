//! What a site's policy leaves out of hits that carry no consent. Those of other products' scripts and servers carry none.

use sotto_schema::{
    event::Field,
    policy::{Consent, Policy},
};

/// Nothing but our own script sends these, and a decision by the visitor comes with them.
const OWN: [Field; 3] = [Field::Returning, Field::ClickAt, Field::ClickPath];

/// The names of the fields, as on the page of what is stored.
pub(super) fn names(policy: &Policy) -> Vec<&'static str> {
    let allowed = policy.allowed(Consent::UNDECIDED);
    let withheld = Field::ALL.iter().filter(|field| !allowed.contains(**field) && !OWN.contains(field));
    withheld.map(|field| field.name()).collect()
}

#[cfg(test)]
mod tests {
    use sotto_schema::policy::Preset;

    use super::*;

    #[test]
    fn what_needs_consent_is_named_and_what_does_not_is_not() {
        let cnil = names(&Preset::Cnil.policy());
        for name in ["props", "revenue", "utm_source", "channel", "click_id"] {
            assert!(cnil.contains(&name), "{name} is not in {cnil:?}");
        }
        for name in ["path", "visitor", "returning", "click_path"] {
            assert!(!cnil.contains(&name), "{name} is in {cnil:?}");
        }
        let cookieless = names(&Preset::Cookieless.policy());
        assert!(!cookieless.contains(&"props") && !cookieless.contains(&"utm_source"), "{cookieless:?}");
        assert!(names(&Preset::Strict.policy()).len() > cnil.len());
    }
}
