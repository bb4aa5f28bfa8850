//! The mechanism: noise and thresholds of the crate `opendp`, whose proofs are published and reviewed. Nothing else of the
//! archive makes a random number.

use std::collections::HashMap;

use opendp::{
    combinators::ConcentratedMeasure,
    core::Measurement,
    domains::{AtomDomain, MapDomain, VectorDomain},
    error::Fallible,
    measurements::{make_gaussian, make_gaussian_threshold},
    measures::{Approximate, ZeroConcentratedDivergence},
    metrics::{AbsoluteDistance, L2Distance, L02InfDistance},
};

/// The noise could not be made; nothing was released.
#[derive(Debug, thiserror::Error)]
#[error("no noise: {0}")]
pub struct NoiseError(String);

fn told<T>(result: Fallible<T>) -> Result<T, NoiseError> {
    result.map_err(|error| NoiseError(format!("{:?}: {}", error.variant, error.message.unwrap_or_default())))
}

/// How far one unit can move the counts of a release: to how many values it adds, and how much to each at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Values.
    pub values: u32,
    /// Added to each.
    pub most: u32,
}

impl Bounds {
    /// Euclidean length of what one unit adds.
    pub fn length(self) -> f64 {
        f64::from(self.most) * f64::from(self.values).sqrt()
    }
}

type Counts = MapDomain<AtomDomain<String>, AtomDomain<i64>>;

type Thresholded = Measurement<
    Counts,
    L02InfDistance<AbsoluteDistance<f64>>,
    Approximate<ZeroConcentratedDivergence>,
    HashMap<String, i64>,
>;

fn threshold_measurement(sigma: f64, threshold: u32) -> Result<Thresholded, NoiseError> {
    told(make_gaussian_threshold(
        MapDomain::new(AtomDomain::<String>::default(), AtomDomain::<i64>::default()),
        L02InfDistance::<AbsoluteDistance<f64>>::default(),
        sigma,
        i64::from(threshold),
        None,
    ))
}

/// Counts with Gaussian noise, those of at least `threshold` only: nobody learns which other values there were.
///
/// # Errors
/// When no noise can be made.
pub fn release(
    counts: &HashMap<String, i64>,
    sigma: f64,
    threshold: u32,
) -> Result<HashMap<String, i64>, NoiseError> {
    told(threshold_measurement(sigma, threshold)?.invoke(counts))
}

/// What [`release`] costs a unit: its `rho` in zero-concentrated differential privacy, and the chance `delta` that a value
/// of this unit alone is released.
///
/// # Errors
/// When the threshold is below what one unit may add.
pub fn cost(bounds: Bounds, sigma: f64, threshold: u32) -> Result<(f64, f64), NoiseError> {
    let moved = (bounds.values, bounds.length(), f64::from(bounds.most));
    told(threshold_measurement(sigma, threshold)?.map(&moved))
}

/// Numbers of values that are public already, with Gaussian noise.
///
/// # Errors
/// When no noise can be made.
pub fn blur(numbers: Vec<i64>, sigma: f64) -> Result<Vec<i64>, NoiseError> {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let measurement = told(make_gaussian::<_, _, ZeroConcentratedDivergence>(
        domain,
        L2Distance::<f64>::default(),
        sigma,
        None,
    ))?;
    told(measurement.invoke(&numbers))
}

/// What [`blur`] costs a unit.
///
/// # Errors
/// When the figures are out of range.
pub fn cost_of_blur(bounds: Bounds, sigma: f64) -> Result<f64, NoiseError> {
    let domain = VectorDomain::new(AtomDomain::<i64>::default());
    let measurement = told(make_gaussian::<_, _, ZeroConcentratedDivergence>(
        domain,
        L2Distance::<f64>::default(),
        sigma,
        None,
    ))?;
    told(measurement.map(&bounds.length()))
}

/// The privacy loss epsilon of everything that costs `rho` together, except with chance `delta`.
///
/// # Errors
/// When the figures are out of range.
pub fn epsilon(rho: f64, delta: f64) -> Result<f64, NoiseError> {
    told(told(ZeroConcentratedDivergence::convert(rho))?.epsilon(delta))
}
