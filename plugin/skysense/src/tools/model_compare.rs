//! `model.compare`: the model beside networks of others and classifiers of single pixels, all trained on the same ground.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Host, NodeError, Tool};
use skysense_train::Start;
use skysense_train::rivals::{Outcome, Rival, RivalsConfig, contest};

use super::answer::keep;
use super::inside::labelled_chips;
use crate::errors;
use crate::training::{Holdout, LabelledChips};

/// Arguments of `model.compare`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Folders of model packages that training starts from, such as those of a pretraining: one, or one for each seed.
    #[serde(default)]
    models: Vec<PathBuf>,
    /// What the table calls them.
    #[serde(default = "pretrained")]
    name: String,
    /// Architecture of the model that starts from random weights.
    #[serde(default = "preset")]
    preset: String,
    /// Who takes part, in the order of the table; all where it is left out.
    #[serde(default = "everyone")]
    rivals: Vec<Who>,
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
    /// A strip along one side of the chips' grid that alone is looked at: what a pretraining with the same `holdout` never
    /// saw.
    #[serde(default)]
    holdout: Option<Holdout>,
    /// Seeds: of the regions that are scored, of the labels that are kept, of weights and order.
    #[serde(default = "seeds")]
    #[schemars(length(min = 1))]
    seeds: Vec<u64>,
    /// Shares of the labels that may be learned from.
    #[serde(default = "shares")]
    #[schemars(length(min = 1))]
    shares: Vec<f64>,
    /// Steps of each training.
    #[serde(default = "steps")]
    #[schemars(range(min = 1))]
    steps: usize,
    /// Chips of a step.
    #[serde(default = "batch")]
    #[schemars(range(min = 1))]
    batch: usize,
    /// Peak learning rate.
    #[serde(default = "rate")]
    learning_rate: f64,
    /// Side of a region in pixels of the 10 m grid: all of it is learned from, or all of it is scored.
    #[serde(default = "block")]
    #[schemars(range(min = 1))]
    block: usize,
    /// Share of the labelled pixels that is scored.
    #[serde(default = "validation")]
    #[schemars(range(min = 0, max = 1))]
    validation: f64,
    /// Side of the squares of labels that are kept or not, in pixels of the 10 m grid.
    #[serde(default = "square")]
    #[schemars(range(min = 1))]
    square: usize,
    /// Trees of the forest.
    #[serde(default = "trees")]
    #[schemars(range(min = 1))]
    trees: usize,
    /// Folder that gets `comparison.json` and `comparison.md`.
    #[serde(default)]
    out: Option<PathBuf>,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Who {
    /// The model from `models`; left out where there are none.
    Pretrained,
    /// The model from random weights.
    Scratch,
    /// U-Net on each date.
    Unet,
    /// U-Net over time, rows and columns.
    Unet3d,
    /// Transformers over dates, then over places.
    Tsvit,
    /// A random forest on a pixel's own values.
    Forest,
    /// Multinomial logistic regression on a pixel's own values.
    Logistic,
}

fn pretrained() -> String {
    "pretrained".into()
}

fn preset() -> String {
    "tiny".into()
}

fn everyone() -> Vec<Who> {
    vec![Who::Pretrained, Who::Scratch, Who::Unet, Who::Unet3d, Who::Tsvit, Who::Forest, Who::Logistic]
}

fn seeds() -> Vec<u64> {
    RivalsConfig::default().seeds
}

fn shares() -> Vec<f64> {
    RivalsConfig::default().shares
}

fn steps() -> usize {
    RivalsConfig::default().steps
}

fn batch() -> usize {
    RivalsConfig::default().batch
}

fn rate() -> f64 {
    RivalsConfig::default().learning_rate
}

fn block() -> usize {
    RivalsConfig::default().block
}

fn validation() -> f64 {
    RivalsConfig::default().validation
}

fn square() -> usize {
    RivalsConfig::default().square
}

fn trees() -> usize {
    100
}

/// Answer of `model.compare`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// What was found.
    #[serde(flatten)]
    outcome: Outcome,
    /// The same as a table: mean ± deviation over the seeds.
    text: String,
}

/// The tool.
pub(crate) struct ModelCompare;

impl Tool for ModelCompare {
    const NAME: &'static str = "model.compare";
    const SUMMARY: &'static str =
        "Trains the model beside U-Net, UNet3D, TSViT and per-pixel classifiers on the same ground, and compares them";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let base = host.about().base;
        let config = arguments.config(&base)?;
        let Arguments { search, chips, labels, label_asset, ignore, .. } = &arguments;
        let (planned, batches) = labelled_chips((search, chips, labels), label_asset.as_deref(), ignore, host)?;
        let read = planned.labelled(batches, arguments.holdout.as_ref(), host)?;
        let LabelledChips { samples, offers, classes, ignored } = read;
        let total = (config.rivals.len() * config.seeds.len() * config.shares.len()) as u64;
        let told = RefCell::new((0_u64, None));
        let tell = |name: &str, share: f64, seed: u64| {
            let mut told = told.borrow_mut();
            let run = Some((name.to_owned(), share.to_bits(), seed));
            if told.1 != run {
                // Asked again at every step, told once a run.
                host.progress(told.0, Some(total), "trainings");
                *told = (told.0 + 1, run);
            }
            !host.cancelled()
        };
        let outcome = contest(&samples, &offers, (&classes, &[ignored]), &config, &tell);
        let outcome = outcome.map_err(|error| errors::train(&error))?;
        host.progress(total, Some(total), "trainings");
        let answer = Answer { text: outcome.table(), outcome };
        if let Some(out) = &arguments.out {
            keep(&base.join(out), "comparison", &answer, &answer.text)?;
        }
        Ok(answer)
    }
}

impl Arguments {
    fn config(&self, base: &Path) -> Result<RivalsConfig, NodeError> {
        let rival = |who: &Who| -> Option<(String, Rival)> {
            Some(match who {
                Who::Pretrained if self.models.is_empty() => return None,
                Who::Pretrained => {
                    (self.name.clone(), Rival::packages(self.models.iter().map(|model| base.join(model))))
                }
                Who::Scratch => (
                    format!("{} from random weights", self.preset),
                    Rival::Model(vec![Start::Preset(self.preset.clone())]),
                ),
                Who::Unet => ("U-Net".into(), Rival::Unet),
                Who::Unet3d => ("UNet3D".into(), Rival::Unet3d),
                Who::Tsvit => ("TSViT".into(), Rival::Tsvit),
                Who::Forest => (format!("random forest of {} trees", self.trees), Rival::Forest(self.trees)),
                Who::Logistic => ("logistic regression".into(), Rival::Logistic),
            })
        };
        let rivals: Vec<_> = self.rivals.iter().filter_map(rival).collect();
        if rivals.is_empty() {
            let message = "nobody takes part: `rivals` names none, or the pretrained alone without `models`";
            return Err(NodeError::new("arguments.invalid", message).hint("name one at least, or the packages"));
        }
        Ok(RivalsConfig {
            rivals,
            seeds: self.seeds.clone(),
            shares: self.shares.clone(),
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.learning_rate,
            block: self.block,
            validation: self.validation,
            square: self.square,
            ..RivalsConfig::default()
        })
    }
}
