//! What all samples of a set have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skysense_edges::{ChipModality, ModalityFacts, SampleSchema};

use crate::Split;

/// What all samples of a set have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Pixels along a side of a sample, on the grid of S2 and S1.
    pub size: usize,
    /// Metres of a pixel of that grid.
    pub resolution: f64,
    /// What each modality looks like: bands, unit, type, scale, most dates.
    pub modalities: BTreeMap<String, ModalityFacts>,
    /// How samples are split into parts.
    pub split: Split,
}

impl Header {
    /// Columns of the shards.
    pub fn schema(&self) -> SampleSchema {
        // In the order in which edges have their modalities, not in that of the alphabet.
        let modality = |name: &str| {
            let facts = self.modalities.get(name)?;
            Some(ChipModality {
                name: name.into(),
                dtype: facts.dtype,
                bands: Some(facts.bands.len()),
                side: Some(self.size * facts.scale),
            })
        };
        SampleSchema { modalities: skysense_edges::MODALITIES.into_iter().filter_map(modality).collect() }
    }

    /// Bytes of a sample at most, without names.
    pub fn sample_bytes(&self) -> u64 {
        let of = |m: &ModalityFacts| {
            m.dates as u64 * (m.bands.len() * m.dtype.bytes() + 1) as u64 * ((self.size * m.scale) as u64).pow(2)
        };
        self.modalities.values().map(of).sum()
    }

    /// Everything in which samples of `other` differ from those of this set; a modality may lack, and the number of
    /// dates is every sample's own.
    pub fn misfits(&self, other: &Self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut differ = |what: &str, found: String, expected: String| {
            if found != expected {
                faults.push(format!("{what} {found}, expected {expected}"));
            }
        };
        differ("the size is", format!("{} px", other.size), format!("{} px", self.size));
        differ("the resolution is", format!("{} m", other.resolution), format!("{} m", self.resolution));
        let split = |split: &Split| format!("{} of blocks of {} km with seed {}", split.share, split.block, split.seed);
        differ("the validation share is", split(&other.split), split(&self.split));
        for (name, found) in &other.modalities {
            let Some(own) = self.modalities.get(name) else {
                let known = self.modalities.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                faults.push(format!("{name} is not in the set, which has {known}"));
                continue;
            };
            let mut differ = |what: &str, found: String, expected: String| {
                if found != expected {
                    faults.push(format!("{name} has {what} {found}, expected {expected}"));
                }
            };
            differ("the bands", found.bands.join(", "), own.bands.join(", "));
            differ("the unit", found.unit.clone(), own.unit.clone());
            differ(
                "pixels of the type",
                format!("{:?}", found.dtype).to_lowercase(),
                format!("{:?}", own.dtype).to_lowercase(),
            );
            differ("the scale", found.scale.to_string(), own.scale.to_string());
        }
        faults
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skysense_edges::Dtype;

    use super::*;

    pub(crate) fn header() -> Header {
        let facts = |bands: &[&str], unit: &str, dtype, scale| ModalityFacts {
            sensor: "s".into(),
            bands: bands.iter().map(ToString::to_string).collect(),
            unit: unit.into(),
            dtype,
            scale,
            dates: 3,
        };
        Header {
            size: 4,
            resolution: 10.0,
            modalities: BTreeMap::from([
                ("hr".into(), facts(&["red"], "byte", Dtype::U8, 32)),
                ("s2".into(), facts(&["B02", "B03"], "reflectance_e4", Dtype::I16, 1)),
            ]),
            split: Split { share: 0.2, block: 10.0, seed: 0 },
        }
    }

    #[test]
    fn every_difference_is_told_and_a_modality_may_lack() {
        let own = header();
        assert_eq!(own.schema().modalities.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["hr", "s2"]);
        assert_eq!(own.sample_bytes(), 3 * 2 * 128 * 128 + 3 * 5 * 16);
        let mut fewer = own.clone();
        fewer.modalities.remove("hr");
        fewer.modalities.get_mut("s2").unwrap().dates = 9;
        assert!(own.misfits(&fewer).is_empty());
        let mut other = own.clone();
        (other.size, other.split.seed) = (8, 1);
        let s2 = other.modalities.get_mut("s2").unwrap();
        (s2.bands, s2.unit, s2.dtype) = (vec!["B02".into(), "B04".into()], "decibel".into(), Dtype::F32);
        let radar = s2.clone();
        other.modalities.insert("s1".into(), radar);
        let told = own.misfits(&other).join("; ");
        for part in [
            "the size is 8 px, expected 4 px",
            "seed 1, expected 0.2 of blocks of 10 km with seed 0",
            "s2 has the bands B02, B04, expected B02, B03",
            "the unit decibel, expected reflectance_e4",
            "type f32, expected i16",
            "s1 is not in the set, which has hr, s2",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
