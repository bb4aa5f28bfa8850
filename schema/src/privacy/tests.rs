use super::*;
use crate::{claims, policy::Preset};

fn site(preset: Preset) -> Site {
    Site::new("Shop", &["shop.example"], "Europe/Paris", preset).unwrap()
}

#[test]
fn every_field_is_described_in_german() {
    let names: Vec<&str> = datamap::entries().iter().map(|e| e.name.as_str()).collect();
    for name in &names {
        assert!(PURPOSES_DE.contains_key(*name), "{name} is missing in texts/purposes.de.toml");
    }
    for name in PURPOSES_DE.keys() {
        assert!(names.contains(&name.as_str()), "{name} is no field of the data map");
    }
}

#[test]
fn records_name_every_field_and_every_class() {
    let text = records_markdown();
    for e in datamap::entries() {
        assert!(text.contains(&format!("| {} | {} | {}", e.name, e.category, e.purpose)), "{}", e.name);
    }
    for class in datamap::classes() {
        assert!(text.contains(&format!("| {} | {} ", class.name, class.purpose)), "{}", class.name);
    }
}

#[test]
fn notice_describes_every_field_under_the_condition_of_the_policy() {
    for preset in Preset::ALL {
        let site = site(preset);
        for language in Language::ALL {
            let text = notice(&site, "https://stats.example/privacy", language);
            for e in datamap::entries() {
                assert!(text.contains(&format!("- {}", purpose(e, language))), "{} {language:?}", e.name);
            }
            for id in BASIC_CLAIMS.iter().chain(&FURTHER_CLAIMS).chain(&["backups"]) {
                let said = claims::claim(id, language);
                assert!(!said.is_empty() && text.contains(said), "{id} {language:?}");
            }
            assert!(text.contains("https://stats.example/privacy"));
        }
        let all: usize = groups(&site, Language::En).iter().map(|g| g.fields.len()).sum();
        assert_eq!(all, datamap::entries().len(), "{preset:?}");
    }
}

#[test]
fn notice_follows_the_settings_of_the_site() {
    let mut shop = site(Preset::Cnil);
    shop.retention_days = 31;
    shop.policy.minimal = Minimal::Drop;
    let text = notice(&shop, "x", Language::En);
    assert!(
        text.contains("single visits: 31 days") && text.contains("If you refuse, nothing is kept."),
        "{text}"
    );
    let group = |preset| {
        let groups = groups(&site(preset), Language::En);
        let of = |name: &str| {
            groups.iter().find(|g| g.fields.iter().any(|f| f.name == name)).map(|g| g.when).unwrap()
        };
        (of("visitor"), of("utm_source"), of("returning"), of("path"))
    };
    let (always, unless, with) = ("Always", "Unless you refuse analytics", "Only with your consent");
    assert_eq!(group(Preset::Cnil), (unless, with, with, always));
    assert_eq!(group(Preset::Strict), (with, with, with, always));
    assert_eq!(group(Preset::Cookieless), (unless, unless, with, always), "a returning visitor has said yes");
}
