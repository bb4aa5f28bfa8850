//! Attacks on releases, each run thousands of times through the only way into the archive: what they win is measured and held
//! against what the promised privacy loss allows.
//!
//! An attacker knows everything but one visitor's day, sees all releases that have it, and makes the best guess there is for
//! Gaussian noise: weighing what is more than expected by the noise of each figure.

#![allow(clippy::print_stdout)] // What was measured, for who runs it with --nocapture.

use std::collections::HashMap;

use sotto_collector::archive::{Counted, Due, budget, noisy};

use super::*;

/// Runs of each experiment.
const RUNS: usize = 3000;
/// Visitors of each value besides the one in question: far above every threshold.
const OTHERS: i64 = 5000;

fn due(period: Period) -> Due {
    Due { period, day: MONTH, monthly: true }
}

/// Everything that the archive publishes of the first day of a month.
fn publish(site: &Site, counted: &Counted) -> Vec<Line> {
    let of = |period| noisy(site, due(period), 1, [0; 32], counted).unwrap();
    of(Period::Day).into_iter().chain(of(Period::Month)).collect()
}

/// Counts of many visitors, all of whom share the values of one.
fn crowd() -> Counted {
    let mut counted = Counted::new();
    for kept in archived::KEPT {
        let values = if kept.is_total() { vec![String::new()] } else { names(kept.values) };
        let cell = |value| (value, (OTHERS * i64::from(kept.most), OTHERS * 2));
        counted.insert((kept.name.into(), false), values.into_iter().map(cell).collect());
    }
    counted
}

fn names(number: u32) -> Vec<String> {
    (0..number).map(|n| format!("v{n}")).collect()
}

/// Adds as much as one visitor's day may add to everything.
fn add_one(counted: &mut Counted) {
    for kept in archived::KEPT {
        for (count, hits) in counted.get_mut(&(kept.name.to_owned(), false)).unwrap().values_mut() {
            *count += i64::from(kept.most);
            *hits += i64::from(kept.hits);
        }
    }
}

/// The best statistic for Gaussian noise: what is more than expected, weighed by the noise of each figure.
fn evidence(lines: &[Line], expected: &Counted) -> f64 {
    let mut sum = 0.0;
    for line in lines {
        let kept = archived::find(&line.dimension).unwrap();
        let cells = &expected[&(line.dimension.clone(), line.anonymous)];
        for (n, value) in line.values.iter().enumerate() {
            let (count, hits) = cells[value];
            let weigh = |found: u32, expected: i64, most: u32, sigma: f64| {
                (f64::from(found) - expected as f64) * f64::from(most) / (sigma * sigma)
            };
            sum += weigh(line.counts[n], count, kept.most, line.sigma);
            if let Some(found) = line.hits.get(n) {
                sum += weigh(*found, hits, kept.hits, line.hits_sigma);
            }
        }
    }
    sum
}

/// A bound that a share of `RUNS` is beyond with a chance of less than one in 10,000 (Wilson's interval).
fn at_least(wins: usize) -> f64 {
    let (n, z) = (RUNS as f64, 3.9);
    let p = wins as f64 / n;
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (p + z * z / (2.0 * n) - spread) / (1.0 + z * z / n)
}

fn at_most(wins: usize) -> f64 {
    1.0 - at_least(RUNS - wins)
}

/// The privacy loss that runs with and without one visitor's day show, at least: the greatest over many borders.
fn shown_loss(with: &mut [f64], without: &mut [f64]) -> f64 {
    with.sort_by(f64::total_cmp);
    without.sort_by(f64::total_cmp);
    let above = |runs: &[f64], border: f64| runs.len() - runs.partition_point(|x| *x <= border);
    let borders: Vec<f64> = without.iter().chain(with.iter()).step_by(RUNS / 100).copied().collect();
    let loss = |more: usize, fewer: usize| (at_least(more) / at_most(fewer)).max(f64::MIN_POSITIVE).ln();
    borders
        .iter()
        .map(|border| {
            let (w, o) = (above(with, *border), above(without, *border));
            loss(w, o).max(loss(RUNS - o, RUNS - w))
        })
        .fold(0.0, f64::max)
}

/// Runs everything that is published with and without one visitor's day.
fn experiment(site: &Site) -> f64 {
    let without = crowd();
    let mut with = without.clone();
    add_one(&mut with);
    let run = |counted: &Counted| -> Vec<f64> {
        (0..RUNS).map(|_| evidence(&publish(site, counted), &without)).collect()
    };
    shown_loss(&mut run(&with), &mut run(&without))
}

#[test]
fn release_of_neighbouring_sites_differs_by_less_than_the_promised_loss() {
    let shown = |epsilon| {
        let loss = experiment(&Site { archive_epsilon: epsilon, ..site() });
        println!("empirical privacy loss: at least {loss:.2}, promised {epsilon}");
        loss
    };
    for epsilon in [1, archived::EPSILON_DEFAULT] {
        assert!(shown(epsilon) < f64::from(epsilon), "{epsilon}");
    }
    // The experiment is strong enough to see that what is promised 8 would break a promise of 1.
    assert!(shown(archived::EPSILON_MAX) > 1.0);
}

/// The share of guesses that are right, of two things that are equally likely.
fn right_guesses(guess: impl Fn(bool) -> bool) -> usize {
    (0..RUNS).filter(|n| guess(n % 2 == 0) == (n % 2 == 0)).count()
}

/// With values of a dimension that have these counts.
fn only(dimension: &str, anonymous: bool, cells: &[(&str, i64)]) -> Counted {
    let cells: HashMap<String, (i64, i64)> =
        cells.iter().map(|(value, count)| ((*value).to_owned(), (*count, *count))).collect();
    Counted::from([((dimension.to_owned(), anonymous), cells)])
}

fn found(lines: &[Line], dimension: &str, value: &str) -> f64 {
    let of = lines.iter().filter(|l| l.dimension == dimension);
    let at = |l: &Line| l.values.iter().position(|v| v == value).map(|n| f64::from(l.counts[n]));
    of.filter_map(at).sum()
}

#[test]
fn attack_wins_no_more_than_the_loss_of_its_figures_allows() {
    let site = site();
    let day_of = |counted: &Counted| noisy(&site, due(Period::Day), 1, [0; 32], counted).unwrap();
    type Attack<'a> = (&'a str, &'a str, Box<dyn Fn(bool) -> bool + 'a>);
    let attacks: [Attack<'_>; 6] = [
        // An erasure leaves the release as it was: release less raw events is noise around the erased visitor.
        (
            "which page the erased visitor saw",
            "page",
            Box::new(|first| {
                let pages = [("/a", 300 + i64::from(first)), ("/b", 300 + i64::from(!first))];
                let lines = day_of(&only("page", false, &pages));
                found(&lines, "page", "/a") > found(&lines, "page", "/b")
            }),
        ),
        (
            "whether a page of hits without a visitor had one more",
            "page",
            Box::new(|more| {
                let lines = day_of(&only("page", true, &[("/a", 300 + i64::from(more))]));
                found(&lines, "page", "/a") > 300.5
            }),
        ),
        (
            "which of two nested goals the only other visitor reached",
            "goal",
            Box::new(|deeper| {
                let goals = [("/shop*", 306), ("/shop/checkout*", 305 + i64::from(deeper))];
                let lines = day_of(&only("goal", false, &goals));
                found(&lines, "goal", "/shop*") - found(&lines, "goal", "/shop/checkout*") < 0.5
            }),
        ),
        (
            "whether one real visitor is among four forged ones",
            "source",
            Box::new(|real| {
                let lines = day_of(&only("source", false, &[("forged", 4 + i64::from(real))]));
                found(&lines, "source", "forged") > 4.5
            }),
        ),
        (
            "whether a total has one more",
            "visitors",
            Box::new(|more| {
                let lines = day_of(&only("visitors", false, &[("", 300 + i64::from(more))]));
                found(&lines, "visitors", "") > 300.5
            }),
        ),
        (
            "how long the only visitor stayed",
            "time",
            Box::new(|long| {
                let lines =
                    day_of(&only("time", false, &[(if long { "over 10 min" } else { "under 10 s" }, 1)]));
                found(&lines, "time", "over 10 min") > found(&lines, "time", "under 10 s")
            }),
        ),
    ];
    let plan = budget::plan(site.archive_epsilon, Period::Day, true).unwrap();
    for (what, dimension, attack) in attacks {
        let rho = plan.iter().find(|s| s.kept.name == dimension).unwrap().rho;
        // Pinsker's inequality with two neighbours that differ by at most twice a visitor: half the distance above one half.
        let allowed = 0.5 + 0.5 * (4.0 * rho / 2.0).sqrt();
        let right = right_guesses(attack);
        println!(
            "{what}: right in {:.1} % of {RUNS} runs, allowed {:.1} %",
            100.0 * right as f64 / RUNS as f64,
            100.0 * allowed
        );
        assert!(at_least(right) <= allowed, "{what}: {right} of {RUNS} are right, more than {allowed}");
    }
}

#[test]
fn value_of_one_visitor_alone_is_never_seen() {
    let site = site();
    let mut alone = Counted::new();
    for kept in archived::KEPT {
        for anonymous in [false, true] {
            let cells = (0..50).map(|n| (format!("v{n}"), (i64::from(kept.most), i64::from(kept.hits))));
            alone.insert((kept.name.into(), anonymous), cells.collect());
        }
    }
    // 150,000 values, each of which may be seen with a chance of one in a hundred million.
    for _ in 0..50 {
        let seen: usize = publish(&site, &alone).iter().map(|line| line.values.len()).sum();
        assert_eq!(seen, 0);
    }
}
