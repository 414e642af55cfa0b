//! A model against rivals that nothing was learned for, over several splits into regions.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::labelled::Probe;
use super::readout::ProbeScores;
use crate::{Start, TrainError};
use skysense_metric::Scores;

/// Whose features are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// A pixel's own values: see [`Probe::statistics`].
    Statistics,
    /// A model with random weights, drawn anew for each seed.
    Random(Start),
    /// Model packages: one for all seeds, or one for each (models that were trained with other seeds).
    Packages(Vec<std::path::PathBuf>),
}

/// Scores of all rivals with all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labelled pixels that were looked at.
    pub pixels: usize,
    /// Seeds: of the regions that are scored, and of random weights.
    pub seeds: Vec<u64>,
    /// By rival, in the order given.
    pub entries: Vec<Entry>,
}

/// One rival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is called.
    pub name: String,
    /// Channels of its features.
    pub channels: usize,
    /// By seed.
    pub scores: Vec<ProbeScores>,
}

/// Mean and sample deviation over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample deviation; 0 of one.
    pub deviation: f64,
}

/// How much better one is than another with the same seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Of the differences, seed by seed.
    pub spread: Spread,
    /// Seeds with which it is better.
    pub better: usize,
}

impl Spread {
    /// Of some values.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 } }
    }
}

impl Entry {
    /// One number of each seed.
    pub fn each(&self, pick: impl Fn(&ProbeScores) -> f64) -> Vec<f64> {
        self.scores.iter().map(pick).collect()
    }

    /// How much more one number is than another's, seed by seed.
    pub fn over(&self, other: &Self, pick: impl Fn(&ProbeScores) -> f64) -> Difference {
        let (own, others) = (self.each(&pick), other.each(&pick));
        let differences: Vec<f64> = own.iter().zip(others).map(|(own, other)| own - other).collect();
        let better = differences.iter().filter(|difference| **difference > 0.0).count();
        Difference { spread: Spread::of(&differences), better }
    }
}

/// Scores all rivals with each seed. `tell` hears the name of each before it is looked at, and ends the comparison with
/// `false`.
///
/// # Errors
/// A package that cannot be used, packages that are neither one nor one a seed, and [`TrainError::Cancelled`].
pub fn compare(
    probe: &Probe,
    rivals: &[(String, Rival)],
    seeds: &[u64],
    mut tell: impl FnMut(&str, u64) -> bool,
) -> Result<Comparison, TrainError> {
    let mut entries = Vec::new();
    for (name, rival) in rivals {
        if let Rival::Packages(packages) = rival
            && packages.len() != 1
            && packages.len() != seeds.len()
        {
            let value = format!("{} packages", packages.len());
            let expected = format!("one, or one for each of {} seeds", seeds.len());
            return Err(TrainError::Setting { setting: "models", value, expected });
        }
        // What is the same for all seeds is computed once.
        let mut kept: Option<Features> = None;
        let (mut scores, mut channels) = (Vec::new(), 0);
        for (at, seed) in seeds.iter().enumerate() {
            if !tell(name, *seed) {
                return Err(TrainError::Cancelled { step: at });
            }
            let features = match (rival, kept.take()) {
                (Rival::Statistics, _) => probe.statistics().clone(),
                (Rival::Random(start), _) => probe.of_random(start, *seed)?,
                (Rival::Packages(packages), Some(features)) if packages.len() == 1 => features,
                (Rival::Packages(packages), _) => probe.of_package(&packages[at % packages.len()])?,
            };
            scores.push(probe.judge(&features, *seed)?);
            channels = features.width;
            kept = Some(features);
        }
        entries.push(Entry { name: name.clone(), channels, scores });
    }
    Ok(Comparison { pixels: probe.pixels(), seeds: seeds.to_vec(), entries })
}

/// A number of a table: its name, and where it stands.
type Column = (&'static str, fn(&ProbeScores) -> f64);

/// The numbers of a table: of the k-NN and of the linear map, overall accuracy, mean IoU and kappa.
const COLUMNS: [Column; 6] = [
    ("k-NN accuracy", |scores| scores.nearest.overall_accuracy),
    ("k-NN mIoU", |scores| scores.nearest.mean_iou),
    ("k-NN kappa", |scores| scores.nearest.kappa),
    ("linear accuracy", |scores| scores.linear.overall_accuracy),
    ("linear mIoU", |scores| scores.linear.mean_iou),
    ("linear kappa", |scores| scores.linear.kappa),
];

impl Comparison {
    /// A table in Markdown: mean ± deviation over the seeds, and below it how much better the first is than each other.
    pub fn table(&self) -> String {
        let percent = |spread: Spread| format!("{:.1} ± {:.1}", 100.0 * spread.mean, 100.0 * spread.deviation);
        let row = |name: String, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
        let mut text = row("features".into(), COLUMNS.map(|(name, _)| format!("{name}, %")).to_vec());
        text += &row("---".into(), vec!["---:".into(); COLUMNS.len()]);
        for entry in &self.entries {
            let cells = COLUMNS.map(|(_, pick)| percent(Spread::of(&entry.each(pick))));
            text += &row(format!("{} ({} channels)", entry.name, entry.channels), cells.to_vec());
        }
        let Some((first, others)) = self.entries.split_first() else { return text };
        for other in others {
            let cell = |pick: fn(&ProbeScores) -> f64| {
                let difference = first.over(other, pick);
                let spread = difference.spread;
                format!(
                    "{:+.1} ± {:.1}, better {} of {}",
                    100.0 * spread.mean,
                    100.0 * spread.deviation,
                    difference.better,
                    self.seeds.len()
                )
            };
            let cells = COLUMNS.map(|(_, pick)| cell(pick));
            text += &row(format!("{} over {}", first.name, other.name), cells.to_vec());
        }
        let of = |pick: fn(&ProbeScores) -> &Scores| {
            first.scores.iter().map(|scores| pick(scores).pixels.to_string()).collect::<Vec<_>>().join(", ")
        };
        let scored = of(|scores| &scores.linear);
        text += &format!(
            "\n{} labelled pixels; seeds {:?} score {scored} of them, in regions that nothing was learned from.\n",
            self.pixels, self.seeds
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_and_difference_by_hand() {
        let spread = Spread::of(&[0.5, 0.7, 0.9]);
        assert!((spread.mean - 0.7).abs() < 1e-12 && (spread.deviation - 0.2).abs() < 1e-12);
        assert_eq!(Spread::of(&[0.3]), Spread { mean: 0.3, deviation: 0.0 });
        let entry = |accuracies: [f64; 2]| {
            let scores = |accuracy: f64| {
                let mut confusion = skysense_metric::Confusion::new(2);
                (0..10).for_each(|at| confusion.add(0, usize::from(f64::from(at) >= 10.0 * accuracy)));
                ProbeScores { nearest: confusion.scores(), linear: confusion.scores() }
            };
            Entry { name: "a".into(), channels: 1, scores: accuracies.map(scores).to_vec() }
        };
        let difference = entry([0.9, 0.5]).over(&entry([0.4, 0.6]), |scores| scores.linear.overall_accuracy);
        assert_eq!(difference.better, 1);
        assert!((difference.spread.mean - 0.2).abs() < 1e-12);
    }
}
