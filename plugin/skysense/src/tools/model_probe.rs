//! `model.probe`: what the features of models are worth, beside random weights and a pixel's own values.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Host, NodeError, Tool};
use skysense_train::Start;
use skysense_train::probe::{Comparison, Linear, Nearest, Probe, ProbeConfig, Rival, compare};

use super::answer::keep;
use super::inside::labelled_chips;
use crate::errors;
use crate::training::Holdout;

/// Arguments of `model.probe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folders of model packages: one, or one for each seed, of models that were trained with different seeds. Without any
    /// only `preset` with random weights is measured.
    #[serde(default)]
    models: Vec<PathBuf>,
    /// Models under names of their own, each a row of the table, in place of `models`: such as those that were trained with
    /// and without a term. The first one is held against all others.
    #[serde(default)]
    groups: Vec<Group>,
    /// A strip along one side of the chips' grid that alone is looked at: what a training with the same `holdout` never saw.
    #[serde(default)]
    holdout: Option<Holdout>,
    /// Architecture of the random weights where there is no model.
    #[serde(default = "preset")]
    preset: String,
    /// Settings of `stac.search` that find what models see.
    search: Value,
    /// Settings of `raster.chips`.
    chips: Value,
    /// Settings of `stac.search` that find the labels.
    labels: Value,
    /// Key of the asset that holds the labels; left out, the one with the role `labels` or with classes.
    #[serde(default)]
    label_asset: Option<String>,
    /// Label values that do not count, beside those that mean no data.
    #[serde(default)]
    ignore: Vec<u8>,
    /// Seeds: of the regions that are scored, and of random weights.
    #[serde(default = "seeds")]
    #[schemars(length(min = 1))]
    seeds: Vec<u64>,
    /// Side of a region in pixels of the 10 m grid: all of it is learned from, or all of it is scored.
    #[serde(default = "block")]
    #[schemars(range(min = 1))]
    block: usize,
    /// Share of the labelled pixels that is scored.
    #[serde(default = "validation")]
    #[schemars(range(min = 0, max = 1))]
    validation: f64,
    /// Most labelled pixels that are looked at, taken evenly.
    #[serde(default = "pixels")]
    #[schemars(range(min = 2))]
    pixels: usize,
    /// Neighbours that vote.
    #[serde(default = "neighbours")]
    #[schemars(range(min = 1))]
    neighbours: usize,
    /// What similarities are divided by before they are votes.
    #[serde(default = "temperature")]
    temperature: f64,
    /// Weight of the squared weights of the linear map.
    #[serde(default = "decay")]
    #[schemars(range(min = 0))]
    decay: f64,
    /// Folder that gets `probe.json` and `probe.md`.
    #[serde(default)]
    out: Option<PathBuf>,
}

/// Models that were trained alike.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Group {
    /// What the table calls them.
    name: String,
    /// Folders of packages: one, or one for each seed.
    models: Vec<PathBuf>,
}

fn preset() -> String {
    "tiny".into()
}

fn seeds() -> Vec<u64> {
    vec![0, 1, 2]
}

fn block() -> usize {
    ProbeConfig::default().block
}

fn validation() -> f64 {
    ProbeConfig::default().validation
}

fn pixels() -> usize {
    ProbeConfig::default().pixels
}

fn neighbours() -> usize {
    Nearest::default().neighbours
}

fn temperature() -> f64 {
    Nearest::default().temperature
}

fn decay() -> f64 {
    Linear::default().decay
}

/// Answer of `model.probe`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// Scores of all rivals with all seeds.
    #[serde(flatten)]
    comparison: Comparison,
    /// The same as a table: mean ± deviation over the seeds.
    text: String,
}

/// The tool.
pub(crate) struct ModelProbe;

impl Tool for ModelProbe {
    const NAME: &'static str = "model.probe";
    const SUMMARY: &'static str =
        "Measures a model's features by k-NN and a linear map, beside random weights and per-pixel statistics";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        if arguments.seeds.is_empty() {
            return Err(NodeError::new("arguments.invalid", "`seeds` is empty").hint("give one seed at least"));
        }
        let base = host.about().base;
        let probe = labelled(&arguments, host)?;
        let groups = groups(&arguments)?;
        let mut rivals: Vec<(String, Rival)> = groups
            .iter()
            .map(|(name, models)| {
                (name.clone(), Rival::Packages(models.iter().map(|model| base.join(model)).collect()))
            })
            .collect();
        let start = match groups.first().and_then(|(_, models)| models.first()) {
            Some(model) => Start::Package(base.join(model)),
            None => Start::Preset(arguments.preset.clone()),
        };
        rivals.push(("random weights".to_owned(), Rival::Random(start)));
        rivals.push(("statistics".into(), Rival::Statistics));
        let total = (rivals.len() * arguments.seeds.len()) as u64;
        let mut done = 0;
        let comparison = compare(&probe, &rivals, &arguments.seeds, |_, _| {
            host.progress(done, Some(total), "probes");
            done += 1;
            !host.cancelled()
        });
        let comparison = comparison.map_err(|error| errors::train(&error))?;
        host.progress(total, Some(total), "probes");
        let answer = Answer { text: comparison.table(), comparison };
        if let Some(out) = &arguments.out {
            keep(&base.join(out), "probe", &answer, &answer.text)?;
        }
        Ok(answer)
    }
}

/// The models by name.
fn groups(arguments: &Arguments) -> Result<Vec<(String, Vec<PathBuf>)>, NodeError> {
    let invalid = |message: String| NodeError::new("arguments.invalid", message);
    if !arguments.models.is_empty() && !arguments.groups.is_empty() {
        return Err(invalid("`models` and `groups` are both given".into()).hint("keep one"));
    }
    if let Some(empty) = arguments.groups.iter().find(|group| group.models.is_empty()) {
        return Err(invalid(format!("the group {:?} has no models", empty.name)).hint("name one, or one for each seed"));
    }
    let alone = (!arguments.models.is_empty()).then(|| ("model".to_owned(), arguments.models.clone()));
    let groups = arguments.groups.iter().map(|group| (group.name.clone(), group.models.clone()));
    Ok(alone.into_iter().chain(groups).collect())
}

/// Reads chips and labels.
fn labelled(arguments: &Arguments, host: &Host) -> Result<Probe, NodeError> {
    let Arguments { search, chips, labels, label_asset, ignore, .. } = arguments;
    let (planned, batches) = labelled_chips((search, chips, labels), label_asset.as_deref(), ignore, host)?;
    let config = ProbeConfig {
        nearest: Nearest { neighbours: arguments.neighbours, temperature: arguments.temperature },
        linear: Linear { decay: arguments.decay, ..Linear::default() },
        block: arguments.block,
        validation: arguments.validation,
        pixels: arguments.pixels,
        ..ProbeConfig::default()
    };
    planned.read(batches, arguments.holdout.as_ref(), config, host)
}
