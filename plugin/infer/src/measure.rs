//! What a package does on stored batches: ranges of its products' inputs, and likeness to another package.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use skysense_contract::{Module, Package};

use crate::model::Keep;
use crate::probe::{Batch, NOW, last};
use crate::session::choose;
use crate::{InferError, Maps, Model, Options, runtime};

/// How alike a package is to the one that it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Likeness {
    /// Chips compared.
    pub chips: usize,
    /// Largest difference to the stored output of the probe.
    pub largest_difference: f64,
    /// Mean over pixels of the cosine between the features of one and of the other.
    pub feature_cosine: f64,
    /// The least of those.
    pub least_cosine: f64,
}

/// Least and largest value of each input of a product, by its name, for each module.
pub type ModuleRanges = BTreeMap<Module, BTreeMap<String, [f32; 2]>>;

/// Runs a package whose graphs show ranges over stored batches, laid out as its probe, and gives the least and largest
/// value of each input of a product, with the number of chips.
///
/// # Errors
/// [`InferError::ProbeFile`] for a file with another layout, and as [`Model::open`] and [`Model::features`].
pub fn ranges(watched: &Package, files: &[&Path], options: &Options) -> Result<(ModuleRanges, usize), InferError> {
    let mut all = ModuleRanges::new();
    let mut chips = 0;
    for file in files {
        let batch = Batch::read(watched, file)?;
        let model = build(watched, &batch, options)?;
        last(&model, &batch)?;
        chips += batch.count();
        widen(&mut all, model.ranges());
    }
    Ok((all, chips))
}

/// Widens ranges by others.
pub fn widen(all: &mut ModuleRanges, more: ModuleRanges) {
    for (module, ranges) in more {
        let known = all.entry(module).or_default();
        for (name, [low, high]) in ranges {
            let range = known.entry(name).or_insert([low, high]);
            *range = [range[0].min(low), range[1].max(high)];
        }
    }
}

/// Holds a package against the one that it was made from, on the probe that they share.
///
/// # Errors
/// As [`Model::open`] and [`Model::features`].
pub fn likeness(float: &Package, reduced: &Package, options: &Options) -> Result<Likeness, InferError> {
    let batch = Batch::read(float, &float.probe())?;
    let chips = batch.chips(NOW);
    let (one, other) = (build(float, &batch, options)?, build(reduced, &batch, options)?);
    let found = last(&other, &batch)?;
    let expected = batch.output(float)?;
    if found.values.len() != expected.len() {
        let message = format!("output has {} values, the model gives {}", expected.len(), found.values.len());
        return Err(InferError::ProbeFile { path: float.probe(), message });
    }
    let differences = found.values.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    let largest_difference = differences.fold(0.0, largest);
    let cosines = cosines(&one.features(&chips)?, &other.features(&chips)?);
    Ok(Likeness {
        chips: chips.len(),
        largest_difference,
        feature_cosine: cosines.iter().sum::<f64>() / cosines.len() as f64,
        least_cosine: cosines.iter().copied().fold(1.0, f64::min),
    })
}

fn build(package: &Package, batch: &Batch, options: &Options) -> Result<Model, InferError> {
    let runtime = runtime::runtime(options.library.as_deref())?;
    let device = choose(options.device, &runtime)?;
    Model::build(package.clone(), &runtime, device, &batch.options(options), Keep::All)
}

/// The larger of two, and what is not a number before any number.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The cosine between the features of each pixel.
fn cosines(a: &Maps, b: &Maps) -> Vec<f64> {
    let area = a.size * a.size;
    let pixel = |maps: &Maps, chip: usize, place: usize| -> Vec<f64> {
        maps.chip(chip)[place..].iter().step_by(area).map(|value| f64::from(*value)).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    (0..a.chips * area)
        .map(|at| {
            let (x, y) = (pixel(a, at / area, at % area), pixel(b, at / area, at % area));
            let length = (dot(&x, &x) * dot(&y, &y)).sqrt();
            // Two features of zeros are the same; one of zeros is like no other.
            if length > 0.0 { dot(&x, &y) / length } else { f64::from(u8::from(x == y)) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_taken_over_channels() {
        let maps = |values: [f32; 8]| {
            let mut maps = Maps::new(2, 2);
            maps.push(&values, &[1; 4]);
            maps
        };
        // Channel by channel: pixels (1, 0), (0, 1), (1, 1), (0, 0).
        let a = maps([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        let b = maps([2.0, 1.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
        let found = cosines(&a, &b);
        let expected = [1.0, 0.0, -1.0, 1.0];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(largest(largest(1.0, f64::NAN), 2.0).is_nan());
    }
}
