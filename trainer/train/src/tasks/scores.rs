//! Scores of any task.

use serde::Serialize;
use skysense_metric::{BiasBin, ClassScore, RegressionScores, Scores};

/// What a model was found to be worth, by the kind of its task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TaskScores {
    /// Of classes of pixels.
    Classes(Scores),
    /// Of a quantity.
    Values(ValueScores),
    /// Of classes of chips.
    Chips(ChipScores),
    /// Of change.
    Change(ChangeScores),
}

/// How far values are off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueScores {
    /// `None` without a pixel.
    #[serde(flatten)]
    pub errors: Option<RegressionScores>,
    /// Unit of the errors.
    pub unit: String,
    /// By the size of the truth.
    pub bias_plot: Vec<BiasBin>,
}

/// Scores of chips. Shares from 0 to 1; `None` where nothing can be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChipScores {
    /// Chips counted.
    pub chips: u64,
    /// Share of chips whose class is right, or all of whose labels are.
    pub overall_accuracy: Option<f64>,
    /// Share of labels that are right, where a chip may have any.
    pub label_accuracy: Option<f64>,
    /// Mean F1 of the classes.
    pub macro_f1: Option<f64>,
    /// mAP: the mean of the following.
    pub mean_average_precision: Option<f64>,
    /// By class.
    pub average_precision: Vec<Option<f64>>,
}

/// Scores of change. Shares from 0 to 1; `None` where nothing can be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeScores {
    /// Pixels counted.
    pub pixels: u64,
    /// Share of pixels whose class is right.
    pub overall_accuracy: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// F1 of any change.
    pub f1: Option<f64>,
    /// IoU of any change.
    pub iou: Option<f64>,
    /// Of what was said to have changed, the share that did.
    pub precision: Option<f64>,
    /// Of what changed, the share that was found.
    pub recall: Option<f64>,
    /// By class.
    pub classes: Vec<ClassScore>,
}

impl TaskScores {
    /// Those of classes of pixels, where it is these.
    pub fn classes(&self) -> Option<&Scores> {
        match self {
            Self::Classes(scores) => Some(scores),
            _ => None,
        }
    }

    /// What counts most, the higher the better: overall accuracy, R², mAP, F1 of change; `None` where it cannot be said.
    pub fn main(&self) -> Option<f64> {
        match self {
            Self::Classes(scores) => (scores.pixels > 0).then_some(scores.overall_accuracy),
            Self::Values(scores) => scores.errors.and_then(|errors| errors.r2),
            Self::Chips(scores) => scores.mean_average_precision.or(scores.overall_accuracy),
            Self::Change(scores) => scores.f1,
        }
    }

    /// In a few words, of what and how good.
    pub fn headline(&self) -> String {
        let percent = |share: Option<f64>| share.map_or("no".into(), |share| format!("{:.1} %", 100.0 * share));
        match self {
            Self::Classes(scores) => {
                format!("{:.1} % of {} pixels are right", 100.0 * scores.overall_accuracy, scores.pixels)
            }
            Self::Values(ValueScores { errors: None, .. }) => "no pixel has a value".into(),
            Self::Values(ValueScores { errors: Some(errors), unit, .. }) => {
                let r2 = errors.r2.map_or("none".into(), |r2| format!("{r2:.3}"));
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                format!(
                    "RMSE {:.4}{unit}, MAE {:.4}{unit}, R² {r2} on {} pixels",
                    errors.rmse, errors.mae, errors.count
                )
            }
            Self::Chips(scores) => {
                let map = percent(scores.mean_average_precision);
                format!("{} of {} chips are right, mAP {map}", percent(scores.overall_accuracy), scores.chips)
            }
            Self::Change(scores) => {
                let (f1, iou) = (percent(scores.f1), percent(scores.iou));
                format!("F1 of change {f1}, IoU {iou} on {} pixels", scores.pixels)
            }
        }
    }
}
