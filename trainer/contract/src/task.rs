//! What a model is trained for: decides its head, its loss, its metrics, and what comes out where it is applied.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A class for each pixel.
    #[default]
    Segmentation,
    /// A number for each pixel.
    Regression,
    /// One class for each chip.
    Classification,
    /// Any classes for each chip.
    MultiLabel,
    /// A class of change for each pixel, from chips of two times.
    Change,
    /// Objects as boxes along the axes of the grid.
    Detection,
    /// Objects as rotated boxes.
    OrientedDetection,
}

/// What is put on the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// The smallest that does: for pixels a 3 × 3 convolution and a 1 × 1 convolution.
    #[default]
    Light,
    /// UPerNet on a pyramid of levels.
    Uper,
}

/// What the numbers of a regression are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// Name of the quantity, such as `biomass`.
    pub name: String,
    /// Unit, empty where there is none or none is known.
    #[serde(default)]
    pub unit: String,
    /// Mean over what was trained on: the head gives `(value − mean) / std`.
    pub mean: f64,
    /// See `mean`.
    pub std: f64,
}

impl Quantity {
    /// One of which nothing is known yet.
    pub fn unnamed() -> Self {
        Self { name: "value".into(), unit: String::new(), mean: 0.0, std: 1.0 }
    }
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Segmentation,
        Self::Regression,
        Self::Classification,
        Self::MultiLabel,
        Self::Change,
        Self::Detection,
        Self::OrientedDetection,
    ];

    /// Name in files and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segmentation => "segmentation",
            Self::Regression => "regression",
            Self::Classification => "classification",
            Self::MultiLabel => "multi_label",
            Self::Change => "change",
            Self::Detection => "detection",
            Self::OrientedDetection => "oriented_detection",
        }
    }

    /// Name in the machine learning model extension of STAC.
    pub fn mlm(self) -> &'static str {
        match self {
            Self::Segmentation | Self::Change => "semantic-segmentation",
            Self::Regression => "regression",
            Self::Classification | Self::MultiLabel => "scene-classification",
            Self::Detection | Self::OrientedDetection => "object-detection",
        }
    }

    /// Whether it looks at chips of two times.
    pub fn compares(self) -> bool {
        self == Self::Change
    }

    /// Whether its truth is one for a chip, and not one for each pixel.
    pub fn of_chips(self) -> bool {
        matches!(self, Self::Classification | Self::MultiLabel)
    }

    /// Whether it finds objects, and not values of pixels or chips.
    pub fn of_objects(self) -> bool {
        matches!(self, Self::Detection | Self::OrientedDetection)
    }

    /// The least number of classes that it has; `None` where it has none.
    pub fn fewest_classes(self) -> Option<usize> {
        match self {
            Self::Regression => None,
            Self::MultiLabel | Self::Detection | Self::OrientedDetection => Some(1),
            Self::Segmentation | Self::Classification | Self::Change => Some(2),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        for task in Task::ALL {
            assert_eq!(serde_json::to_value(task).unwrap(), task.name());
            assert_eq!(serde_json::from_value::<Task>(task.name().into()).unwrap(), task);
        }
    }
}
