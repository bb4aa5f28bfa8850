use proptest::prelude::*;
use sotto_schema::id::SiteId;

use super::*;

/// An unremarkable day; 20,000 is a Friday.
const TODAY: u16 = 20_000;

fn group(site: SiteId, day: u16, expires: u16) -> Group {
    Group { site, day, expires, rows: 1 }
}

fn rule(days: u16) -> BTreeMap<SiteId, Rule> {
    BTreeMap::from([(SiteId(1), Rule { today: Day(TODAY), days })])
}

fn due(plan: &Plan) -> Vec<Group> {
    plan.weeks.iter().flat_map(|w| w.due.clone()).collect()
}

#[test]
fn event_is_due_on_the_day_it_expires_and_not_before() {
    for (day, expires, keep, expected, why) in [
        (TODAY - 90, TODAY, 90, true, "the day has come"),
        (TODAY - 89, TODAY + 1, 90, false, "one day early"),
        (TODAY - 30, TODAY + 60, 30, true, "the site keeps less than when it was stored"),
        (TODAY - 29, TODAY + 61, 30, false, "one day early under the shorter rule"),
        (TODAY - 90, TODAY, 200, true, "a longer rule does not bring back what was promised to go"),
        (TODAY - RETENTION_DAYS_MAX, u16::MAX, RETENTION_DAYS_MAX, true, "the legal maximum"),
        (TODAY - RETENTION_DAYS_MAX + 1, u16::MAX, RETENTION_DAYS_MAX, false, "a day before the maximum"),
        (TODAY - RETENTION_DAYS_MAX, u16::MAX, u16::MAX, true, "the maximum holds whatever a setting says"),
    ] {
        let plan = plan(&[group(SiteId(1), day, expires)], &rule(keep), &Seals::NoArchive, Day(TODAY));
        assert_eq!(!due(&plan).is_empty(), expected, "{why}");
    }
}

#[test]
fn week_is_dropped_when_all_of_it_is_due_and_rewritten_otherwise() {
    let (monday, sunday) = (TODAY - 4, TODAY + 2);
    let old = [group(SiteId(1), 19_000, monday - 7), group(SiteId(2), 19_000, monday - 1)];
    let now = [group(SiteId(1), 19_900, monday), group(SiteId(1), 19_901, sunday)];
    let plan = plan(&[old, now].concat(), &rule(760), &Seals::NoArchive, Day(TODAY));
    let weeks: Vec<_> = plan.weeks.iter().map(|w| (w.monday.0, w.whole, w.due.len())).collect();
    assert_eq!(weeks, [(monday - 7, true, 2), (monday, false, 1)]);
    assert_eq!(partition(Day(monday)), "20240930", "a Monday");
}

#[test]
fn week_begins_on_monday_as_in_the_partition_key() {
    for (day, monday) in
        [("2026-11-16", "2026-11-16"), ("2026-11-22", "2026-11-16"), ("2026-11-23", "2026-11-23")]
    {
        let days = |text: &str| {
            let date: jiff::civil::Date = text.parse().unwrap();
            u16::try_from(date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days()).unwrap()
        };
        assert_eq!(group(SiteId(1), 0, days(day)).week(), days(monday), "{day}");
    }
    for extreme in [0, 3, 4, u16::MAX] {
        assert!(group(SiteId(1), 0, extreme).week() <= extreme);
    }
}

#[test]
fn day_that_is_not_sealed_is_held_until_the_legal_maximum() {
    let seals = Seals::Days(BTreeSet::from([(SiteId(1), Day(TODAY - 95))]));
    let sealed = group(SiteId(1), TODAY - 95, TODAY - 5);
    let unsealed = group(SiteId(1), TODAY - 96, TODAY - 6);
    let gone_site = group(SiteId(9), TODAY - 96, TODAY - 6);
    let ancient = group(SiteId(1), TODAY - RETENTION_DAYS_MAX, TODAY - 6);
    let plan = plan(&[sealed, unsealed, gone_site, ancient], &rule(90), &seals, Day(TODAY));
    assert_eq!(plan.held, [unsealed]);
    assert_eq!(due(&plan).len(), 3);
    assert!(plan.weeks.iter().all(|w| !w.whole), "a held day keeps its partition from being dropped");
}

#[test]
fn today_is_that_of_the_sites_time_zone() {
    let ms = "2026-07-01T22:30:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(today("Europe/Paris", ms).to_string(), "2026-07-02");
    assert_eq!(today("America/New_York", ms).to_string(), "2026-07-01");
    assert_eq!(today("no/where", ms).to_string(), "2026-07-01");
}

proptest! {
    #[test]
    fn nothing_is_forgotten_nothing_goes_early(
        raw in prop::collection::vec((1..4u64, 0..900u16, 0..900u16), 0..60),
        keep in 1..=RETENTION_DAYS_MAX,
        sealed in prop::collection::btree_set((1..4u64, 0..900u16), 0..40),
    ) {
        let groups: Vec<Group> =
            raw.iter().map(|(site, age, left)| group(SiteId(*site), TODAY - age, TODAY - age + left)).collect();
        // Site 3 was removed.
        let rules: BTreeMap<SiteId, Rule> =
            (1..3).map(|site| (SiteId(site), Rule { today: Day(TODAY), days: keep })).collect();
        let seals = Seals::Days(sealed.iter().map(|(s, age)| (SiteId(*s), Day(TODAY - age))).collect());
        let plan = plan(&groups, &rules, &seals, Day(TODAY));
        let due = due(&plan);
        for g in &groups {
            let over = g.expires <= TODAY || (rules.contains_key(&g.site) && g.day + keep <= TODAY);
            let beyond = g.day + RETENTION_DAYS_MAX <= TODAY;
            let free = g.site == SiteId(3) || seals.let_go(g.site, Day(g.day));
            prop_assert_eq!(due.contains(g), beyond || (over && free));
            prop_assert_eq!(plan.held.contains(g), over && !beyond && !free);
        }
        for week in plan.weeks.iter().filter(|w| w.whole) {
            let in_it = groups.iter().filter(|g| g.week() == week.monday.0).count();
            prop_assert_eq!(in_it, week.due.len(), "a whole week is dropped only when all of it is due");
        }
    }
}
