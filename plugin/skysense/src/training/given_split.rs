//! Splits that a user gives: which places train, which validate, and which are kept for a test.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Fault, NodeError};
use skysense_edges::ItemRow;
use skysense_grid::{Crs, GeoBox};
use skysense_raster::Shapes;
use skysense_train::Use;

use super::labels::LabelSource;
use crate::chips::item;
use crate::errors;
use crate::settings::path;

/// Which places train, validate and test, said by the items of the labels or by a map of places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SplitSetting {
    /// Property of the label items that names the part: `train`, `validation` or `test`.
    property: Option<String>,
    /// Vector file whose polygons name the part, in place of a property; what lies outside of them is not used.
    file: Option<String>,
    /// Field of the polygons that names the part; left out, `split`.
    field: Option<String>,
}

/// A part of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// What is learned.
    Train,
    /// What is looked at on the way.
    Validation,
    /// What is not looked at before the end.
    #[default]
    Test,
}

impl Part {
    /// By one of the names that data sets have.
    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// What training does with it.
    pub(crate) fn used(part: Option<Self>) -> Use {
        match part {
            Some(Self::Train) => Use::Trains,
            Some(Self::Validation) => Use::Validates,
            Some(Self::Test) | None => Use::Neither,
        }
    }
}

/// A split as a plan keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PlannedSplit {
    /// The label items have it.
    Items,
    /// Polygons have it.
    Places { path: PathBuf, field: String },
}

impl SplitSetting {
    /// Looks who says what; the parts of items are kept with the sources, which are in the order of the rows.
    ///
    /// # Errors
    /// Both or neither way, a file that cannot be read, what names no part: every fault.
    pub(crate) fn plan(
        &self,
        base: &Path,
        (rows, sources): (&[ItemRow], &mut [LabelSource]),
        crs: &Crs,
    ) -> Result<PlannedSplit, Vec<Fault>> {
        let wrong = |message: String| Fault::new("/split", "split.invalid", message);
        const NAMES: &str = "expected train, validation or test";
        match (&self.property, &self.file) {
            (Some(property), None) => {
                if self.field.is_some() {
                    let hint = "leave `field` out, or give `file` in place of `property`";
                    return Err(wrong("field is of the polygons of a file, and none is given".into())
                        .hint(hint)
                        .into());
                }
                let mut faults = Vec::new();
                for (row, source) in rows.iter().zip(sources) {
                    let text = item(row).ok().and_then(|item| item.text(property).map(str::to_owned));
                    source.part = text.as_deref().and_then(Part::parse);
                    if source.part.is_none() {
                        let found = text.map_or("lacking".to_owned(), |text| format!("{text:?}"));
                        faults.push(wrong(format!("property {property} of item {} is {found}, {NAMES}", row.id)));
                    }
                }
                if faults.is_empty() { Ok(PlannedSplit::Items) } else { Err(faults) }
            }
            (None, Some(file)) => {
                let field = self.field.clone().unwrap_or_else(|| "split".into());
                let path = path(base, file);
                let shapes = Shapes::open(&path, Some(&field), crs)
                    .map_err(|error| Fault { field: "/split".into(), ..Fault::from(errors::raster(&error)) })?;
                let of = |(at, text): (usize, Option<&str>)| {
                    let found = text.map_or("lacking".to_owned(), |text| format!("{text:?}"));
                    let message = || wrong(format!("{file}: {field} of feature {at} is {found}, {NAMES}"));
                    text.and_then(Part::parse).is_none().then(message)
                };
                let mut faults: Vec<Fault> = shapes.values().enumerate().filter_map(of).take(5).collect();
                if shapes.is_empty() {
                    faults.push(wrong(format!("{file} has no polygons")).hint("give each place a polygon"));
                }
                if faults.is_empty() { Ok(PlannedSplit::Places { path, field }) } else { Err(faults) }
            }
            (property, _) => {
                let given = if property.is_some() { "both are given" } else { "neither is given" };
                let hint = "name a property of the label items, or a vector file of places";
                Err(wrong(format!("a split needs `property` or `file`, and {given}")).hint(hint).into())
            }
        }
    }
}

impl SplitSetting {
    /// The same where only places can say it, as of objects, which have no items of their own.
    ///
    /// # Errors
    /// As [`SplitSetting::plan`], and a property.
    pub(crate) fn plan_places(&self, base: &Path, crs: &Crs) -> Result<PlannedSplit, Vec<Fault>> {
        if self.property.is_some() {
            let message = "property is given, and a chip may hold objects of several items";
            let hint = "give `file`, a vector file of places";
            return Err(Fault::new("/split", "split.invalid", message).hint(hint).into());
        }
        self.plan(base, (&[], &mut []), crs)
    }
}

/// A split that is read from.
pub(crate) enum OpenSplit {
    Items,
    Places(Shapes),
}

impl PlannedSplit {
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn open(&self, crs: &Crs) -> Result<OpenSplit, NodeError> {
        Ok(match self {
            Self::Items => OpenSplit::Items,
            Self::Places { path, field } => {
                OpenSplit::Places(Shapes::open(path, Some(field), crs).map_err(|error| errors::raster(&error))?)
            }
        })
    }
}

/// The part of each pixel of a grid by polygons, `[height, width]`; where several lie over each other the last one says it.
///
/// # Errors
/// Shapes that cannot be burnt.
pub(crate) fn parts_of_places(shapes: &Shapes, grid: &GeoBox) -> Result<Vec<Option<Part>>, NodeError> {
    let number = |text: Option<&str>| text.and_then(Part::parse).map(|part| f64::from(part as u8));
    let numbers = shapes.burn(grid, false, number).map_err(|error| errors::raster(&error))?;
    let all = [Part::Train, Part::Validation, Part::Test];
    Ok(numbers.iter().map(|number| all.into_iter().find(|part| f64::from(*part as u8) == *number)).collect())
}

/// The part that a chip lies in as a whole; `None` where it touches several, or a place of none.
pub(crate) fn whole(parts: &[Option<Part>]) -> Option<Part> {
    let first = parts.first().copied().flatten()?;
    parts.iter().all(|part| *part == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_names_that_data_sets_give_them() {
        let found: Vec<_> = ["Train", " val", "VALIDATION", "test", "dev", "7", ""].map(Part::parse).into();
        let (train, validation, test) = (Some(Part::Train), Some(Part::Validation), Some(Part::Test));
        assert_eq!(found, [train, validation, validation, test, validation, None, None]);
        assert_eq!(
            [train, validation, test, None].map(Part::used),
            [Use::Trains, Use::Validates, Use::Neither, Use::Neither]
        );
    }

    #[test]
    fn a_chip_is_of_a_part_that_has_all_of_it() {
        let (train, test) = (Some(Part::Train), Some(Part::Test));
        assert_eq!(whole(&[train, train]), train);
        assert_eq!((whole(&[train, test]), whole(&[train, None]), whole(&[])), (None, None, None));
    }

    #[test]
    fn one_way_of_two_is_asked_for() {
        let plan = |text: &str| {
            let setting: SplitSetting = serde_json::from_str(text).unwrap();
            setting.plan(Path::new("/nowhere"), (&[], &mut []), &Crs::epsg(32633)).unwrap_err()[0].message.clone()
        };
        assert!(plan("{}").contains("neither is given"));
        assert!(plan(r#"{"property": "split", "file": "a.gpkg"}"#).contains("both are given"));
        assert!(plan(r#"{"property": "split", "field": "part"}"#).contains("field is of the polygons"));
        assert!(plan(r#"{"file": "a.gpkg"}"#).contains("a.gpkg"));
    }
}
