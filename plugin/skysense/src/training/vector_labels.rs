//! Labels that are shapes: vector layers whose points, lines and polygons are burnt onto the grid of the chips.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::Fault;
use skysense_contract::{Class, Task};
use skysense_grid::Crs;
use skysense_raster::Shapes;

use super::labels::{COLORS, LabelSource};
use crate::errors;

/// How shapes of vector layers become pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShapesSetting {
    /// Field of the layer with the class, or with the number that a regression learns.
    pub(crate) field: String,
    /// Whether a polygon has all pixels that it touches, and not only those whose middle lies in it.
    pub(crate) all_touched: bool,
    /// Class of the pixels that no shape covers, such as `other`; left out, these have no label.
    pub(crate) background: Option<String>,
}

impl Default for ShapesSetting {
    fn default() -> Self {
        Self { field: "class".into(), all_touched: false, background: None }
    }
}

/// A vector layer of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShapeSource {
    pub(crate) path: PathBuf,
    pub(crate) field: String,
    pub(crate) all_touched: bool,
    /// Value of the class of each text of the field; none of a regression.
    pub(crate) values: BTreeMap<String, u8>,
    /// Value of the class of what no shape covers.
    pub(crate) background: Option<u8>,
}

impl ShapeSource {
    /// A layer that is there and has the field; its texts get their values later, when those of all layers are known.
    ///
    /// # Errors
    /// A file that cannot be read, one without shapes, shapes of a regression without a number.
    pub(crate) fn read(path: PathBuf, setting: &ShapesSetting, (task, crs): (Task, &Crs)) -> Result<Self, Fault> {
        let shapes = Shapes::open(&path, Some(&setting.field), crs)
            .map_err(|error| Fault { field: "/shapes".into(), ..Fault::from(errors::raster(&error)) })?;
        let wrong = |message: String, hint: &str| {
            let place = skysense_address::redact(&path.display().to_string());
            Err(Fault::new("/shapes", "label.shapes", format!("{place}: {message}")).hint(hint))
        };
        if shapes.is_empty() {
            return wrong("it has no shapes".into(), "name a layer of points, lines or polygons");
        }
        let mut values = BTreeMap::new();
        for (at, value) in shapes.values().enumerate() {
            let value = value.map(str::trim).unwrap_or_default();
            if task == Task::Regression {
                if !value.parse::<f64>().is_ok_and(f64::is_finite) {
                    let message = format!("{} of feature {at} is {value:?}, expected a number", setting.field);
                    return wrong(message, "name the field of the quantity with `shapes: {field: …}`");
                }
            } else if value.is_empty() {
                let message = format!("feature {at} has no {}", setting.field);
                return wrong(message, "name the field of the class with `shapes: {field: …}`");
            } else {
                values.insert(value.to_owned(), 0);
            }
        }
        if values.len() > 254 {
            let message = format!("{} has {} texts, expected 254 classes at most", setting.field, values.len());
            return wrong(message, "name the field of the class with `shapes: {field: …}`");
        }
        let ShapesSetting { field, all_touched, .. } = setting.clone();
        Ok(Self { path, field, all_touched, values, background: None })
    }

    /// The number that is burnt for a text of the field.
    pub(crate) fn number(&self, task_of_values: bool, text: Option<&str>) -> Option<f64> {
        let text = text?.trim();
        if task_of_values { text.parse().ok() } else { self.values.get(text).map(|value| f64::from(*value)) }
    }
}

/// Gives the texts of all layers their classes. A text that names a class of any item's `classification:classes`, or is its
/// value, has that; the others have the values from 1 on that are free, by name. What no shape covers has 0.
///
/// # Errors
/// More classes than a byte has values.
pub(crate) fn name_classes(sources: &mut [LabelSource], background: Option<&str>) -> Result<(), Vec<Fault>> {
    let mut known: Vec<Class> = Vec::new();
    for class in sources.iter().flat_map(|source| &source.classes) {
        if known.iter().all(|other| other.value != class.value) {
            known.push(class.clone());
        }
    }
    let texts: BTreeSet<String> = sources
        .iter()
        .filter_map(|source| source.shapes.as_ref())
        .flat_map(|shapes| shapes.values.keys().cloned())
        .collect();
    if texts.is_empty() {
        return Ok(());
    }
    let mut place = |text: &str, least: u8| -> Option<u8> {
        let found = known.iter().find(|class| class.name == text || class.value.to_string() == text);
        if let Some(class) = found {
            return Some(class.value);
        }
        let value = (least..=254).find(|value| known.iter().all(|class| class.value != *value))?;
        let color = COLORS[known.len() % COLORS.len()].to_owned();
        known.push(Class { value, name: text.to_owned(), color });
        Some(value)
    };
    let mut values = BTreeMap::new();
    let beside = background.map(|name| (name, place(name, 0)));
    for text in &texts {
        values.insert(text.clone(), place(text, 1));
    }
    let full = |name: &str| {
        let message = format!("no value of a byte is left for the class {name:?}");
        Fault::new("/shapes", "label.classes", message).hint("bring classes together in the layer")
    };
    let lacking =
        values.iter().map(|(name, value)| (name.as_str(), value)).chain(beside.as_ref().map(|(n, v)| (*n, v)));
    let faults: Vec<Fault> = lacking.filter(|(_, value)| value.is_none()).map(|(name, _)| full(name)).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    for source in sources {
        let Some(shapes) = &mut source.shapes else { continue };
        for (text, value) in &mut shapes.values {
            *value = values.get(text).copied().flatten().unwrap_or_default();
        }
        shapes.background = beside.and_then(|(_, value)| value);
        let has = |class: &&Class| {
            shapes.values.values().any(|value| *value == class.value) || shapes.background == Some(class.value)
        };
        source.classes = known.iter().filter(has).cloned().collect();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use skysense_catalog::Root;

    use super::*;

    fn source(texts: &[&str], classes: &[(u8, &str)]) -> LabelSource {
        let values = texts.iter().map(|text| ((*text).to_owned(), 0)).collect();
        let shapes =
            ShapeSource { path: "a.gpkg".into(), field: "class".into(), all_touched: false, values, background: None };
        let class = |(value, name): &(u8, &str)| Class { value: *value, name: (*name).into(), color: "000000".into() };
        LabelSource {
            shapes: (!texts.is_empty()).then_some(shapes),
            classes: classes.iter().map(class).collect(),
            ..LabelSource::new("item", "asset", "a.gpkg", Root::Remote("https://a.example/".into()))
        }
    }

    #[test]
    fn layers_share_their_classes_with_each_other_and_with_rasters() {
        let mut all =
            [source(&["wheat", "beet"], &[]), source(&["maize", "wheat"], &[]), source(&[], &[(2, "forest")])];
        name_classes(&mut all, Some("other")).unwrap();
        let values = |at: usize| {
            let shapes = all[at].shapes.as_ref().unwrap();
            (shapes.values.iter().map(|(text, value)| (text.as_str(), *value)).collect::<Vec<_>>(), shapes.background)
        };
        // 2 is taken by the raster; the rest go by name.
        assert_eq!(values(0), (vec![("beet", 1), ("wheat", 4)], Some(0)));
        assert_eq!(values(1), (vec![("maize", 3), ("wheat", 4)], Some(0)));
        let names: Vec<&str> = all[1].classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["other", "maize", "wheat"]);
        assert_eq!(all[2].classes.len(), 1);
    }

    #[test]
    fn texts_that_name_a_declared_class_have_its_value() {
        let mut all = [source(&["water", "7", "12"], &[(5, "water"), (7, "forest")])];
        name_classes(&mut all, None).unwrap();
        let shapes = all[0].shapes.as_ref().unwrap();
        assert_eq!([shapes.values["water"], shapes.values["7"], shapes.values["12"]], [5, 7, 1]);
        assert_eq!(all[0].classes.iter().map(|class| class.value).collect::<Vec<_>>(), [5, 7, 1]);
        let many: Vec<String> = (0..254).map(|at| format!("c{at}")).collect();
        let mut all = [source(&many.iter().map(String::as_str).collect::<Vec<_>>(), &[(1, "one")])];
        assert!(name_classes(&mut all, None).unwrap_err()[0].message.contains("no value of a byte is left"));
    }
}
