//! The budget: how much noise each dimension gets, so that everything that is ever released about one visitor's day stays
//! within the privacy loss that the site allows.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use sotto_schema::archived::{DELTA, KEPT, Kept};
use sotto_store::releases::Period;

use super::mechanism::{Bounds, NoiseError, cost, cost_of_blur, epsilon};

/// The part of [`DELTA`] that thresholds may use; the rest goes into the conversion of rho to epsilon.
const DELTA_OF_THRESHOLDS: f64 = 0.5;
/// The part of a dimension's budget that its hits get, where they are counted.
const HITS_SHARE: f64 = 0.12;
/// Left unspent, so that rounding up never passes the budget.
const RESERVE: f64 = 1e-6;

/// What one dimension of a release gets and costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The dimension.
    pub kept: &'static Kept,
    /// Standard deviation of the noise in counts.
    pub sigma: f64,
    /// Counts with noise below it are not released.
    pub threshold: u32,
    /// Standard deviation of the noise in hits; 0 if hits are not counted.
    pub hits_sigma: f64,
    /// What it costs.
    pub rho: f64,
    /// The chance that a value of one visitor alone is released.
    pub delta: f64,
}

impl Share {
    /// How far one visitor's day can move the counts.
    pub fn bounds(&self) -> Bounds {
        Bounds { values: self.kept.values, most: self.kept.most }
    }

    /// What it costs a hit that is counted for itself: it adds one to one value.
    ///
    /// # Errors
    /// When the figures are out of range.
    pub fn cost_of_a_hit(&self) -> Result<(f64, f64), NoiseError> {
        cost(Bounds { values: 1, most: 1 }, self.sigma, self.threshold)
    }
}

/// The shares of all dimensions that a release has.
pub type Plan = Arc<Vec<Share>>;

type Key = (u8, Period, bool);
static PLANS: LazyLock<Mutex<HashMap<Key, Plan>>> = LazyLock::new(Mutex::default);

/// The shares of a release. With `monthly`, the budget of a day is divided between its day and its month; otherwise the day
/// has all of it.
///
/// # Errors
/// When no noise can be made within the budget.
pub fn plan(epsilon: u8, period: Period, monthly: bool) -> Result<Plan, NoiseError> {
    let key = (epsilon, period, monthly);
    if let Some(plan) = PLANS.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(plan.clone());
    }
    let weight = |kept: &Kept, period| match (period, monthly) {
        (Period::Day, true) => kept.by_day,
        (Period::Month, true) => kept.by_month,
        (Period::Day, false) => kept.by_day + kept.by_month,
        (Period::Month, false) => 0,
    };
    let weights = |period| KEPT.iter().map(move |kept| weight(kept, period));
    let all = || weights(Period::Day).chain(weights(Period::Month));
    let (whole, number) = (all().sum::<u32>(), all().filter(|w| *w > 0).count());
    let rho = allowed(epsilon)? * (1.0 - RESERVE);
    let delta = DELTA * DELTA_OF_THRESHOLDS * (1.0 - RESERVE) / number as f64;
    let shares = KEPT
        .iter()
        .filter(|kept| weight(kept, period) > 0)
        .map(|kept| share(kept, rho * f64::from(weight(kept, period)) / f64::from(whole), delta))
        .collect::<Result<Vec<_>, _>>()?;
    let plan = Arc::new(shares);
    PLANS.lock().unwrap_or_else(PoisonError::into_inner).insert(key, plan.clone());
    Ok(plan)
}

/// Whether releases that cost `rho` and `delta` together are within the privacy loss `allowed`.
///
/// # Errors
/// When the figures are out of range.
pub fn is_within(rho: f64, delta: f64, allowed: u8) -> Result<bool, NoiseError> {
    Ok(delta <= DELTA * DELTA_OF_THRESHOLDS && spent(rho)? <= f64::from(allowed))
}

/// The privacy loss epsilon of releases that cost `rho` together.
///
/// # Errors
/// When the figures are out of range.
pub fn spent(rho: f64) -> Result<f64, NoiseError> {
    if rho == 0.0 { Ok(0.0) } else { epsilon(rho, DELTA * (1.0 - DELTA_OF_THRESHOLDS)) }
}

/// The greatest rho whose privacy loss is at most `wanted`.
fn allowed(wanted: u8) -> Result<f64, NoiseError> {
    let (mut low, mut high) = (0.0, f64::from(wanted));
    while high - low > 1e-9 {
        let middle = f64::midpoint(low, high);
        if spent(middle)? <= f64::from(wanted) { low = middle } else { high = middle }
    }
    Ok(low)
}

fn share(kept: &'static Kept, rho: f64, delta: f64) -> Result<Share, NoiseError> {
    let of_hits = if kept.hits > 0 { rho * HITS_SHARE } else { 0.0 };
    let bounds = Bounds { values: kept.values, most: kept.most };
    let noise = |bounds: Bounds, rho: f64| bounds.length() / (2.0 * rho).sqrt();
    let sigma = noise(bounds, rho - of_hits);
    let threshold = threshold(bounds, sigma, delta)?;
    let (mut spent, delta) = cost(bounds, sigma, threshold)?;
    let mut hits_sigma = 0.0;
    if kept.hits > 0 {
        let bounds = Bounds { most: kept.hits, ..bounds };
        hits_sigma = noise(bounds, of_hits);
        spent += cost_of_blur(bounds, hits_sigma)?;
    }
    Ok(Share { kept, sigma, threshold, hits_sigma, rho: spent, delta })
}

/// The smallest threshold that a value of one unit alone passes with a chance of at most `delta`.
fn threshold(bounds: Bounds, sigma: f64, delta: f64) -> Result<u32, NoiseError> {
    let passes = |threshold: u32| cost(bounds, sigma, threshold).map(|(_, chance)| chance > delta);
    // Fourteen standard deviations are beyond any delta that can be written down here.
    let (mut low, mut high) = (bounds.most, bounds.most + (14.0 * sigma).ceil() as u32 + 1);
    while low < high {
        let middle = low.midpoint(high);
        if passes(middle)? { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::archived::{EPSILON_MAX, EPSILON_MIN};

    #[test]
    fn everything_about_a_day_is_within_the_budget_of_every_privacy_loss() {
        for allowed in EPSILON_MIN..=EPSILON_MAX {
            let sum =
                |plan: &Plan| plan.iter().fold((0.0, 0.0), |(rho, delta), s| (rho + s.rho, delta + s.delta));
            let (day, month) =
                (plan(allowed, Period::Day, true).unwrap(), plan(allowed, Period::Month, true).unwrap());
            let (of_day, of_month) = (sum(&day), sum(&month));
            assert!(is_within(of_day.0 + of_month.0, of_day.1 + of_month.1, allowed).unwrap(), "{allowed}");
            // Almost all of it is used, and a second release of the month is too much.
            assert!(spent(of_day.0 + of_month.0).unwrap() > 0.99 * f64::from(allowed), "{allowed}");
            assert!(!is_within(of_day.0 + 2.0 * of_month.0, 0.0, allowed).unwrap(), "{allowed}");
            let alone = sum(&plan(allowed, Period::Day, false).unwrap());
            assert!(is_within(alone.0, alone.1, allowed).unwrap(), "{allowed}");
            assert!(plan(allowed, Period::Month, false).unwrap().is_empty());
        }
    }

    #[test]
    fn hit_that_is_counted_for_itself_costs_no_more_than_a_visitor() {
        for share in plan(4, Period::Month, true).unwrap().iter() {
            let (rho, delta) = share.cost_of_a_hit().unwrap();
            assert!(rho <= share.rho && delta <= share.delta, "{}", share.kept.name);
        }
    }

    #[test]
    fn threshold_is_the_smallest_that_keeps_the_chance() {
        let bounds = Bounds { values: 4, most: 1 };
        let found = threshold(bounds, 10.0, 1e-8).unwrap();
        assert!(cost(bounds, 10.0, found).unwrap().1 <= 1e-8);
        assert!(cost(bounds, 10.0, found - 1).unwrap().1 > 1e-8);
    }
}
