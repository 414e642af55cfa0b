//! Sensors as data files: what the bands of a family of items are called, and how their numbers are meant.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Backscatter, CatalogError, Item, MaskRule, Result};

/// Built-in sensor files, by name.
const BUILTIN: &[(&str, &str)] = &[
    ("sentinel-2-l2a", include_str!("../sensors/sentinel-2-l2a.yaml")),
    ("sentinel-2-l1c", include_str!("../sensors/sentinel-2-l1c.yaml")),
    ("sentinel-1-rtc", include_str!("../sensors/sentinel-1-rtc.yaml")),
    ("sentinel-1-grd", include_str!("../sensors/sentinel-1-grd.yaml")),
    ("hr-rgbn", include_str!("../sensors/hr-rgbn.yaml")),
    ("hr-rgb", include_str!("../sensors/hr-rgb.yaml")),
];

/// One of the three inputs of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// High-resolution optical.
    Hr,
    /// Sentinel-2.
    S2,
    /// Sentinel-1.
    S1,
}

impl Modality {
    /// `hr`, `s2` or `s1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::S2 => "s2",
            Self::S1 => "s1",
        }
    }
}

/// A sensor file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Name that a workflow uses.
    pub sensor: String,
    /// One line for people.
    pub title: String,
    /// Input of the model.
    pub modality: Modality,
    /// Which items are of this sensor without a word in the workflow.
    #[serde(default)]
    pub matches: Matches,
    /// Bands, in the order of the sensor.
    pub bands: Vec<SensorBand>,
    /// The bands that models of the modality take, where that are not those with the statistics of pre-training; all
    /// where neither is given.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether an item must have every band; otherwise absent bands are named in the scene.
    #[serde(default)]
    pub all_bands: bool,
    /// Keys of assets, without marks of copies, that never hold bands (quicklooks, other resolutions).
    #[serde(default)]
    pub not_bands: Vec<String>,
    /// Masks, each taken where the item has it.
    #[serde(default)]
    pub masks: Vec<SensorMask>,
    /// How numbers become values.
    pub radiometry: SensorRadiometry,
}

/// Which items belong to a sensor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matches {
    /// Ids of collections.
    pub collections: Vec<String>,
    /// Sets of properties, one of which must hold as a whole; a value may end in `*`.
    pub properties: Vec<BTreeMap<String, String>>,
}

/// A band of a sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorBand {
    /// Name in models and outputs.
    pub name: String,
    /// Common names that mean this band alone.
    #[serde(default)]
    pub common: Vec<String>,
    /// Other names, as bands and as asset keys, without marks of copies; letter case is ignored.
    #[serde(default)]
    pub also: Vec<String>,
    /// Centre wavelength in µm.
    pub wavelength: Option<f64>,
    /// Native pixel size in metres.
    pub gsd: Option<f64>,
    /// Mean of the pre-training data in the model's unit.
    pub mean: Option<f64>,
    /// Standard deviation of the pre-training data in the model's unit.
    pub std: Option<f64>,
}

/// A mask of a sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorMask {
    /// Name in reports.
    pub name: String,
    /// Asset keys, without marks of copies; letter case is ignored.
    pub assets: Vec<String>,
    /// Which values mean that a pixel is left out.
    pub rule: MaskRule,
}

impl Sensor {
    /// The bands that models take, in the order of the sensor.
    pub fn model_bands(&self) -> Vec<String> {
        let taken = |band: &&SensorBand| match self.models.is_empty() {
            true => band.mean.is_some() || self.bands.iter().all(|band| band.mean.is_none()),
            false => self.models.contains(&band.name),
        };
        self.bands.iter().filter(taken).map(|band| band.name.clone()).collect()
    }
}

/// How numbers become values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum SensorRadiometry {
    /// Optical reflectance.
    Reflectance {
        /// Where none is declared.
        scale: f64,
        /// First processing baseline (times 100) with an offset, and that offset.
        since: (u32, f64),
        /// Properties that say whether the catalog subtracted the offset.
        applied: Vec<String>,
        /// Properties that hold the processing baseline.
        baseline: Vec<String>,
        /// Properties that hold a product name with the baseline as `_N0509_`.
        product: Vec<String>,
        /// Offsets per collection, where what its items say is known to be wrong.
        #[serde(default)]
        collections: BTreeMap<String, f64>,
        /// Bands whose dark pixels answer.
        check: Vec<String>,
    },
    /// Radar backscatter.
    Backscatter {
        /// Units per collection, where items do not say.
        #[serde(default)]
        collections: BTreeMap<String, Backscatter>,
        /// Whether items without a projected grid are in ground-range geometry.
        ground_range: bool,
        /// Bands whose pixels answer.
        check: Vec<String>,
    },
    /// Values as they are.
    Display,
}

/// The sensors at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensors {
    all: Vec<Sensor>,
    mapping: BTreeMap<String, String>,
}

impl Sensors {
    /// The sensors that come with the program.
    ///
    /// # Errors
    /// None in a tested build: the files are embedded and read by the tests.
    pub fn builtin() -> Result<Self> {
        let all = BUILTIN.iter().map(|(name, text)| parse(text, name)).collect::<Result<_>>()?;
        Ok(Self { all, mapping: BTreeMap::new() })
    }

    /// Adds what a workflow says: collection → name of a sensor, or path of a sensor file (`.yaml`, `.yml`)
    /// relative to `folder`. A file whose name is taken replaces that sensor.
    ///
    /// # Errors
    /// A file that cannot be read, or a name that is not known.
    pub fn with(mut self, mapping: &BTreeMap<String, String>, folder: &Path) -> Result<Self> {
        for (collection, sensor) in mapping {
            let name = if sensor.ends_with(".yaml") || sensor.ends_with(".yml") {
                let path = folder.join(sensor);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| CatalogError::Read { path: path.clone(), source })?;
                let sensor = parse(&text, &path.display().to_string())?;
                let name = sensor.sensor.clone();
                self.all.retain(|known| known.sensor != name);
                self.all.push(sensor);
                name
            } else {
                sensor.clone()
            };
            self.get(&name)?;
            self.mapping.insert(collection.clone(), name);
        }
        Ok(self)
    }

    /// The sensor of this name.
    ///
    /// # Errors
    /// A name that is not known.
    pub fn get(&self, name: &str) -> Result<&Sensor> {
        self.all
            .iter()
            .find(|sensor| sensor.sensor == name)
            .ok_or_else(|| CatalogError::UnknownSensor { name: name.to_owned(), known: self.names().join(", ") })
    }

    /// Names, in the order in which they are tried.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|sensor| sensor.sensor.as_str()).collect()
    }

    /// All sensors.
    pub fn iter(&self) -> impl Iterator<Item = &Sensor> {
        self.all.iter()
    }

    /// The sensor of an item: by the workflow's mapping (`*` maps whatever is left), by its collection, then
    /// by its properties.
    pub fn of(&self, item: &Item) -> Option<&Sensor> {
        let by_name = |name: &String| self.all.iter().find(|sensor| &sensor.sensor == name);
        let collection = item.collection().unwrap_or("none");
        self.mapping
            .get(collection)
            .and_then(by_name)
            .or_else(|| {
                self.all.iter().find(|sensor| sensor.matches.collections.iter().any(|known| known == collection))
            })
            .or_else(|| self.all.iter().find(|sensor| sensor.matches.properties.iter().any(|set| holds(set, item))))
            .or_else(|| self.mapping.get("*").and_then(by_name))
    }
}

fn holds(set: &BTreeMap<String, String>, item: &Item) -> bool {
    !set.is_empty()
        && set.iter().all(|(name, wanted)| {
            let found = item.text(name).map(|text| text.to_ascii_lowercase().replace(' ', "-"));
            let wanted = wanted.to_ascii_lowercase();
            match (found, wanted.strip_suffix('*')) {
                (Some(found), Some(prefix)) => found.starts_with(prefix),
                (Some(found), None) => found == wanted,
                (None, _) => false,
            }
        })
}

fn parse(text: &str, origin: &str) -> Result<Sensor> {
    let fault = |message: String| CatalogError::Sensor { origin: origin.to_owned(), message };
    let sensor: Sensor = serde_yaml::from_str(text).map_err(|error| fault(error.to_string()))?;
    if sensor.bands.is_empty() {
        return Err(fault("has no bands; expected at least one".into()));
    }
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for band in &sensor.bands {
        for name in std::iter::once(&band.name).chain(&band.also) {
            if let Some(other) = names.insert(name.to_ascii_lowercase(), &band.name) {
                return Err(fault(format!(
                    "name `{name}` stands for bands {other} and {}; each name may stand for one",
                    band.name
                )));
            }
        }
    }
    let checks = match &sensor.radiometry {
        SensorRadiometry::Reflectance { check, scale, .. } => {
            if !(scale.is_finite() && *scale > 0.0) {
                return Err(fault(format!("scale is {scale}; expected a positive number")));
            }
            check.clone()
        }
        SensorRadiometry::Backscatter { check, .. } => check.clone(),
        SensorRadiometry::Display => Vec::new(),
    };
    for (list, names) in [("check", &checks), ("models", &sensor.models)] {
        if let Some(unknown) = names.iter().find(|name| !sensor.bands.iter().any(|band| band.name == **name)) {
            return Err(fault(format!("{list} names band `{unknown}`, which is none of its bands")));
        }
    }
    Ok(sensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_files_are_whole_and_named_after_their_sensor() {
        let sensors = Sensors::builtin().unwrap();
        assert_eq!(sensors.names(), BUILTIN.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert_eq!(sensors.get("sentinel-2-l2a").unwrap().bands.len(), 12);
        assert_eq!(sensors.get("sentinel-2-l1c").unwrap().bands.len(), 13);
        let models = |name: &str| sensors.get(name).unwrap().model_bands();
        assert_eq!(models("sentinel-2-l1c"), models("sentinel-2-l2a"), "one model reads both");
        assert_eq!((models("sentinel-2-l2a").len(), models("sentinel-1-rtc").len()), (10, 2));
        assert!(sensors.get("sentinel-3").unwrap_err().to_string().contains("sentinel-2-l2a"));
    }

    #[test]
    fn a_sensor_file_of_ones_own_replaces_and_errors_name_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let text =
            "sensor: mine\ntitle: t\nmodality: hr\nbands: [{name: red}, {name: blue}]\nradiometry: {kind: display}\n";
        std::fs::write(folder.path().join("mine.yaml"), text).unwrap();
        let mapping = BTreeMap::from([("own".to_owned(), "mine.yaml".to_owned())]);
        let sensors = Sensors::builtin().unwrap().with(&mapping, folder.path()).unwrap();
        assert_eq!(sensors.get("mine").unwrap().model_bands(), ["red", "blue"]);
        std::fs::write(folder.path().join("mine.yaml"), format!("{text}models: [green]\n")).unwrap();
        let message = Sensors::builtin().unwrap().with(&mapping, folder.path()).unwrap_err().to_string();
        assert!(message.contains("models names band `green`"), "{message}");
        std::fs::write(folder.path().join("mine.yaml"), text.replace("title", "titel")).unwrap();
        let message = Sensors::builtin().unwrap().with(&mapping, folder.path()).unwrap_err().to_string();
        assert!(message.contains("mine.yaml") && message.contains("line") && message.contains("titel"), "{message}");
    }

    #[test]
    fn one_name_for_two_bands_is_refused() {
        let text = "sensor: x\ntitle: t\nmodality: hr\nbands: [{name: red, also: [a]}, {name: blue, also: [A]}]\nradiometry: {kind: display}\n";
        assert!(parse(text, "x").unwrap_err().to_string().contains("each name may stand for one"));
    }
}
