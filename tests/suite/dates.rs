//! A hit is of the day and the hour that the clock of its site shows, at whatever moment and wherever the machine is.
//! `make test-dates` runs this where clocks, days, months and years change.

use jiff::{ToSpan, civil::Date};
use serde_json::Value;
use sotto_schema::site::RETENTION_DAYS_DEFAULT;
use sotto_tests::{Sotto, wait_for};

/// The first place to have a day and the last one, places with summer time, and one that is not whole hours away.
const ZONES: [&str; 5] =
    ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];

/// What the clock of a place shows: its day, and its hour as reports write it.
fn clock(zone: &str) -> (Date, String) {
    let now = sotto_schema::clock::now().in_tz(zone).unwrap();
    (now.date(), now.strftime("%Y-%m-%d %H:00").to_string())
}

#[test]
fn hit_is_of_the_day_and_hour_of_its_site() {
    let sotto = Sotto::start();
    for (n, zone) in ZONES.into_iter().enumerate() {
        let hostname = format!("s{n}.example");
        let key = sotto.add_site(&hostname, &["--time-zone", zone]);
        let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://{hostname}/"}}"#);
        // At the stroke of an hour it may be of either.
        let before = clock(zone);
        assert_eq!(sotto.hit(&hit, &[]), 204);
        let moments = [before, clock(zone)];
        let event: Value = wait_for("the hit", || {
            sotto.run(&["export", &key]).lines().next().map(|line| serde_json::from_str(line).unwrap())
        });
        let day: Date = event["day"].as_str().unwrap().parse().unwrap();
        assert!(moments.iter().any(|(d, _)| *d == day), "{zone}: {day} of {moments:?}");
        let expires = day.saturating_add(i32::from(RETENTION_DAYS_DEFAULT).days());
        assert_eq!(event["expires"], expires.to_string(), "{zone}");

        let of_day = day.to_string();
        let hours = sotto.report(&key, &["--from", &of_day, "--to", &of_day, "--by", "hour"]);
        assert_eq!(hours.len(), 1, "{zone}: {hours:?}");
        let hour = hours[0]["hour"].as_str().unwrap();
        assert!(moments.iter().any(|(_, h)| h == hour), "{zone}: {hour} of {moments:?}");
        // An anonymous hit is of the beginning of that hour, by the same clock.
        let refused = hit.replace("\"i\":\"v1\"", "\"i\":\"v2\",\"c\":1");
        let before = clock(zone);
        assert_eq!(sotto.hit(&refused, &[]), 204);
        let moments = [moments[0].clone(), before, clock(zone)];
        sotto.wait_for_pageviews(&key, 2);
        for hour in sotto.report(&key, &["--by", "hour", "--metrics", "pageviews"]) {
            let hour = hour["hour"].as_str().unwrap();
            assert!(moments.iter().any(|(_, h)| h == hour), "{zone}: anonymous at {hour} of {moments:?}");
        }

        // The last thirty days, by the clock of the site: yesterday is among them if it has just ended.
        assert_eq!(sotto.report(&key, &[])[0]["pageviews"], 2, "{zone}");
    }
}
