//! The description of a scene.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CLASSES, Result, SimulateError};

/// What to simulate. Every field has a default; the same description gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SceneSpec {
    /// Side of the square scene in pixels of 10 m.
    #[schemars(range(min = 64, max = 10980))]
    pub size: usize,
    /// Sentinel-2 dates, spread over the season.
    #[schemars(range(min = 1, max = 120))]
    pub dates: usize,
    /// Sentinel-1 dates.
    #[schemars(range(min = 0, max = 120))]
    pub radar_dates: usize,
    /// Year of all dates.
    pub year: i32,
    /// First and last day of the year that dates may fall on.
    pub season: [u32; 2],
    /// Everything random follows from this number.
    pub seed: u64,
    /// Mean share of the scene under clouds; single dates differ.
    #[schemars(range(min = 0, max = 0.9))]
    pub cloud: f64,
    /// UTM zones. With 2 the scene straddles a zone border and the eastern granules are in the eastern zone.
    #[schemars(range(min = 1, max = 2))]
    pub zones: usize,
    /// Overlapping Sentinel-2 granules side by side in each zone.
    #[schemars(range(min = 1, max = 16))]
    pub granules: usize,
    /// High-resolution RGB at 0.3125 m over this many 10 m pixels in the middle of the scene; 0 for none.
    #[schemars(range(min = 0, max = 512))]
    pub hr: usize,
    /// Greenhouses and halls on the high-resolution image, with their true outlines; 0 for none.
    #[schemars(range(min = 0, max = 10000))]
    pub objects: usize,
    /// Names of the classes that may occur; empty for all. At least one must be a forest, grassland or crop.
    pub classes: Vec<String>,
    /// Longitude and latitude of the middle of the scene. With two zones the longitude moves to the nearest zone border.
    pub center: [f64; 2],
    /// Share of the fields, meadows and woods that are built over after `year`. More than 0 adds the same number of dates in the
    /// year after, its class map, and a map of what changed.
    #[schemars(range(min = 0, max = 0.9))]
    pub changed: f64,
    /// Adds the true share of green ground on the first day of July, in percent: a quantity to learn.
    pub cover: bool,
    /// Overwrite a folder that holds a simulated scene.
    pub replace: bool,
}

impl Default for SceneSpec {
    fn default() -> Self {
        Self {
            size: 256,
            dates: 8,
            radar_dates: 6,
            year: 2021,
            season: [75, 300],
            seed: 1,
            cloud: 0.2,
            zones: 1,
            granules: 1,
            hr: 0,
            objects: 0,
            classes: Vec::new(),
            center: [14.6, 48.2],
            changed: 0.0,
            cover: false,
            replace: false,
        }
    }
}

impl SceneSpec {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`SimulateError::Spec`] for the first field out of range, with what would do.
    pub fn check(&self) -> Result<()> {
        within("size", self.size, 64, 10_980)?;
        within("dates", self.dates, 1, 120)?;
        within("radar_dates", self.radar_dates, 0, 120)?;
        within("year", self.year, 2015, 2100)?;
        within("season[0]", self.season[0], 1, 365)?;
        within("season[1]", self.season[1], self.season[0], 365)?;
        within("cloud", self.cloud, 0.0, 0.9)?;
        within("zones", self.zones, 1, 2)?;
        within("granules", self.granules, 1, 16)?;
        within("hr", self.hr, 0, 512.min(self.size))?;
        within("objects", self.objects, 0, 10_000)?;
        if self.objects > 0 && self.hr == 0 {
            return Err(spec("objects", self.objects, "0 where hr is 0: they stand on the high-resolution image"));
        }
        within("center[0]", self.center[0], -180.0, 180.0)?;
        within("center[1]", self.center[1], -75.0, 75.0)?;
        within("changed", self.changed, 0.0, 0.9)?;
        if self.changed > 0.0 && !self.has(9) {
            let expected = "`settlement` among the classes, which is what fields are built over with";
            return Err(spec("changed", self.changed, expected));
        }
        let days = (self.season[1] - self.season[0] + 1) as usize;
        within("dates", self.dates, 1, days)?;
        within("radar_dates", self.radar_dates, 0, days)?;
        if let Some(unknown) = self.classes.iter().find(|name| CLASSES.iter().all(|class| class.name != **name)) {
            let known: Vec<_> = CLASSES.iter().map(|class| class.name).collect();
            return Err(spec("classes", unknown, known.join(", ")));
        }
        let covers = |value: u8| (2..=8).contains(&value);
        if !CLASSES.iter().any(|class| covers(class.value) && self.has(class.value)) {
            return Err(spec("classes", self.classes.join(", "), "at least one forest, grassland or crop among them"));
        }
        Ok(())
    }

    /// Whether the class of this value may occur.
    pub(crate) fn has(&self, value: u8) -> bool {
        self.classes.is_empty()
            || CLASSES.iter().any(|class| class.value == value && self.classes.iter().any(|name| name == class.name))
    }
}

fn within<T: PartialOrd + std::fmt::Display>(field: &'static str, value: T, low: T, high: T) -> Result<()> {
    if value >= low && value <= high { Ok(()) } else { Err(spec(field, value, format!("{low} to {high}"))) }
}

fn spec(field: &'static str, value: impl ToString, expected: impl Into<String>) -> SimulateError {
    SimulateError::Spec { field, value: value.to_string(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_named() {
        let wrong = |change: fn(&mut SceneSpec), field: &str| {
            let mut spec = SceneSpec::default();
            change(&mut spec);
            let message = spec.check().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        };
        wrong(|s| s.size = 63, "size is 63");
        wrong(|s| s.cloud = f64::NAN, "cloud is NaN");
        wrong(|s| s.season = [200, 100], "season[1] is 100");
        wrong(|s| s.season = [200, 202], "dates is 8");
        wrong(|s| s.hr = 300, "hr is 300");
        wrong(|s| s.objects = 3, "objects is 3");
        wrong(|s| s.changed = 1.0, "changed is 1");
        wrong(|s| (s.changed, s.classes) = (0.1, vec!["maize".into()]), "settlement");
        wrong(|s| s.classes = vec!["wheat".into()], "winter_wheat");
        wrong(|s| s.classes = vec!["water".into(), "road".into()], "at least one forest");
        SceneSpec::default().check().unwrap();
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<SceneSpec>(r#"{"sizes": 64}"#).is_err());
        assert_eq!(serde_json::from_str::<SceneSpec>("{}").unwrap(), SceneSpec::default());
    }
}
