//! Settings of a fine-tuning run.

use serde::Serialize;
use skysense_contract::{Class, Head, HeadKind, Quantity, Task};

use crate::loss::ClassWeights;
use crate::{Compute, Lora, Recipe, TrainError};

/// When training ends because it no longer helps: what validates is scored on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EarlyStopping {
    /// Steps between looks.
    pub every: usize,
    /// Looks without a better score after which it ends.
    pub patience: usize,
}

/// Settings of a fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetuneConfig {
    /// Start, steps, rate, what is varied, what validates.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// Name of the model.
    pub name: String,
    /// What it is trained for.
    pub task: Task,
    /// Which head.
    pub head: HeadKind,
    /// Classes in the order of the logits; none for a regression.
    pub classes: Vec<Class>,
    /// Name and unit of what a regression learns; mean and deviation are taken from the samples.
    pub quantity: Option<Quantity>,
    /// Label values that are no class; everything else that is no class is an error.
    pub ignore: Vec<u8>,
    /// How classes are weighed.
    pub class_weights: ClassWeights,
    /// Whether probabilities are calibrated: logits are divided by the temperature that suits what validates.
    pub calibrate: bool,
    /// Whether only the head learns.
    pub frozen: bool,
    /// Adapters that learn in place of the encoder, which stays as it is; in the package they are added to its weights.
    pub lora: Option<Lora>,
    /// What the learning rate is multiplied with from block to block of the encoders towards their input; 1 is one rate for
    /// all.
    pub layer_decay: f64,
    /// When training ends before its last step; never where it is left out.
    pub early_stopping: Option<EarlyStopping>,
    /// Whether prototypes of the package that is started from are used; without, the model has none. They stay as they
    /// are, what is projected to them and from them learns.
    pub prototypes: bool,
    /// How it is computed.
    #[serde(flatten)]
    pub compute: Compute,
    /// Licence of the resulting weights as an SPDX expression, or `proprietary`.
    pub licence: String,
}

impl FinetuneConfig {
    /// Settings that suit the `tiny` preset on two cores.
    pub fn new(name: impl Into<String>, classes: Vec<Class>) -> Self {
        Self {
            recipe: Recipe::default(),
            name: name.into(),
            task: Task::Segmentation,
            head: HeadKind::Light,
            classes,
            quantity: None,
            ignore: vec![0, 255],
            class_weights: ClassWeights::Equal,
            calibrate: false,
            frozen: false,
            lora: None,
            layer_decay: 1.0,
            early_stopping: None,
            prototypes: true,
            compute: Compute::default(),
            licence: "proprietary".into(),
        }
    }

    /// What the contract says of the head, as far as it is known before training.
    pub(crate) fn head_record(&self) -> Head {
        let of_values = self.task == Task::Regression;
        let quantity = of_values.then(|| self.quantity.clone().unwrap_or_else(Quantity::unnamed));
        Head { kind: self.head, quantity, ..Head::of(self.task, self.classes.clone()) }
    }

    /// Checks the ranges.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let fault = |setting, value: String, expected: &str| {
            Err(TrainError::Setting { setting, value, expected: expected.into() })
        };
        let fewest = self.task.fewest_classes();
        if fewest.map_or(!self.classes.is_empty(), |fewest| self.classes.len() < fewest) {
            let expected = fewest.map_or("none".to_owned(), |fewest| format!("{fewest} or more"));
            return fault("classes", format!("{} classes", self.classes.len()), &expected);
        }
        let maps = matches!(self.task, Task::Segmentation | Task::Regression);
        if self.head != HeadKind::Light && !maps {
            let found = format!("uper, of {}", self.task);
            return fault("head", found, "light: UPerNet is for segmentation and regression");
        }
        if let Some(class) = self.classes.iter().find(|class| self.ignore.contains(&class.value)) {
            return fault("ignore", class.value.to_string(), "values that are no class");
        }
        self.recipe.check()?;
        if !(self.layer_decay > 0.0 && self.layer_decay <= 1.0) {
            return fault("layer_decay", self.layer_decay.to_string(), "more than 0, at most 1");
        }
        if let Some(lora) = self.lora {
            lora.check()?;
            if self.frozen {
                return fault("lora", "given".into(), "none where the encoder is frozen: one or the other");
            }
        }
        if self.layer_decay != 1.0 && (self.frozen || self.lora.is_some()) {
            let expected = "1 where the encoder does not learn as a whole, for there are no layers to learn slower";
            return fault("layer_decay", self.layer_decay.to_string(), expected);
        }
        if let Some(EarlyStopping { every, patience }) = self.early_stopping {
            if every == 0 || patience == 0 {
                return fault("early_stopping", format!("every {every}, patience {patience}"), "1 or more");
            }
            if self.recipe.validation == 0.0 {
                return fault("validation", "0".into(), "more than 0, for early stopping looks at what validates");
            }
        }
        if let ClassWeights::Given(weights) = &self.class_weights {
            let good = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
            if weights.len() != self.classes.len() || !good {
                let expected = format!("{} weights, none negative", self.classes.len());
                return fault("class_weights", format!("{weights:?}"), &expected);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> FinetuneConfig {
        let class = |value: u8| Class { value, name: value.to_string(), color: "000000".into() };
        FinetuneConfig::new("test", vec![class(1), class(2)])
    }

    #[test]
    fn the_defaults_hold_and_what_is_out_of_range_is_named() {
        config().check().unwrap();
        let fault = |change: &dyn Fn(&mut FinetuneConfig)| {
            let mut config = config();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(fault(&|c| c.layer_decay = 0.0).contains("layer_decay is 0"));
        let stops = Some(EarlyStopping { every: 5, patience: 1 });
        assert!(fault(&|c| (c.early_stopping, c.recipe.validation) = (stops, 0.0)).contains("looks at what validates"));
        let lora = |rank, alpha| Some(Lora { rank, alpha });
        assert!(fault(&|c| c.lora = lora(0, 8.0)).contains("rank of 1 or more"));
        assert!(fault(&|c| c.lora = lora(4, f64::NAN)).contains("alpha NaN"));
        assert!(fault(&|c| (c.lora, c.frozen) = (lora(4, 8.0), true)).contains("one or the other"));
        assert!(fault(&|c| (c.lora, c.layer_decay) = (lora(4, 8.0), 0.5)).contains("layer_decay is 0.5"));
        assert!(fault(&|c| (c.frozen, c.layer_decay) = (true, 0.5)).contains("layer_decay is 0.5"));
        assert!(fault(&|c| c.ignore = vec![1]).contains("ignore is 1"));
        assert!(fault(&|c| c.recipe.learning_rate = f64::NAN).contains("NaN"));
        assert!(fault(&|c| c.recipe.validation = 1.0).contains("validation"));
        assert!(fault(&|c| c.recipe.batch = 0).contains("batch"));
        assert!(fault(&|c| c.class_weights = ClassWeights::Given(vec![1.0])).contains("2 weights"));
        assert!(fault(&|c| drop(c.classes.pop())).contains("1 classes"));
    }
}
