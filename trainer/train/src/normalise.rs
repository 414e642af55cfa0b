//! Normalisation of pixels per band, `(pixel − mean) / std`: from the samples, or the published constants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skysense_contract::{Modality, Offer};

use crate::{Sample, SampleSeries, TrainError};

/// Where mean and standard deviation come from. Recorded in the package's notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// Of the valid pixels of the samples: right for a model that is trained from nothing.
    #[default]
    Samples,
    /// The constants of the official code, which official weights expect.
    Skysense,
}

/// Mean and standard deviation by band.
pub(crate) type Statistics = BTreeMap<Modality, (Vec<f64>, Vec<f64>)>;

/// A published constant: band, mean, standard deviation.
type Constant = (&'static str, f64, f64);

// `lib/datasets/utils/dataset_colors.py` of the official SkySense++ code; HR is ImageNet's, × 255.
const HR: [Constant; 3] = [
    ("red", 0.485 * 255.0, 0.229 * 255.0),
    ("green", 0.456 * 255.0, 0.224 * 255.0),
    ("blue", 0.406 * 255.0, 0.225 * 255.0),
];
const S2: [Constant; 10] = [
    ("B02", 884.29673756, 1155.15170768),
    ("B03", 1144.16202635, 1183.6292542),
    ("B04", 1297.47289228, 1368.11351514),
    ("B05", 1624.90992062, 1370.265037),
    ("B06", 2194.6423161, 1355.55390699),
    ("B07", 2422.21248945, 1416.51487101),
    ("B08", 2517.76053101, 1474.78900051),
    ("B8A", 2581.64687018, 1439.3086061),
    ("B11", 2368.51236873, 1455.52084939),
    ("B12", 1805.06846033, 1343.48379601),
];
const S1: [Constant; 2] = [("VV", -12.54847273, 5.25697717), ("VH", -20.19237134, 5.91150917)];

/// A near-infrared band of the high-resolution encoder, for which nothing is published. Its weights begin as those of
/// red, and so do its constants: our choice.
pub(crate) const NIR: &str = "nir";

/// Bands of the published encoders, in the order of their patch embeddings.
pub(crate) fn published_bands(modality: Modality) -> Vec<String> {
    table(modality).iter().map(|(band, ..)| (*band).to_string()).collect()
}

fn table(modality: Modality) -> &'static [Constant] {
    match modality {
        Modality::Hr => &HR,
        Modality::S2 => &S2,
        Modality::S1 => &S1,
    }
}

/// The published constants of these bands.
pub(crate) fn published(offers: &BTreeMap<Modality, Offer>) -> Result<Statistics, TrainError> {
    let of = |(modality, offer): (&Modality, &Offer)| {
        let table = table(*modality);
        let find = |band: &String| {
            let same = |name: &str| table.iter().find(|constant| constant.0.eq_ignore_ascii_case(name));
            let of_red =
                || (*modality == Modality::Hr && band.eq_ignore_ascii_case(NIR)).then(|| same("red")).flatten();
            same(band).or_else(of_red)
        };
        let bands: Vec<String> = offer.bands.iter().filter(|band| find(band).is_none()).cloned().collect();
        if !bands.is_empty() {
            return Err(TrainError::Constants { modality: *modality, bands });
        }
        let found = || offer.bands.iter().filter_map(find);
        Ok((*modality, (found().map(|c| c.1).collect(), found().map(|c| c.2).collect())))
    };
    offers.iter().map(of).collect()
}

/// Mean and standard deviation of the valid pixels of all samples, band by band, summed in f64 in the order of
/// the samples.
pub(crate) fn measured(samples: &[Sample], offers: &BTreeMap<Modality, Offer>) -> Statistics {
    let mut moments = Moments::new(offers);
    samples.iter().for_each(|sample| moments.add(&sample.series));
    moments.statistics()
}

/// Sums of what was looked at so far.
#[derive(Debug)]
pub(crate) struct Moments(BTreeMap<Modality, Vec<(f64, f64, f64)>>);

impl Moments {
    pub(crate) fn new(offers: &BTreeMap<Modality, Offer>) -> Self {
        Self(offers.iter().map(|(modality, offer)| (*modality, vec![(0.0, 0.0, 0.0); offer.bands.len()])).collect())
    }

    /// Adds the valid pixels of a sample.
    pub(crate) fn add(&mut self, all: &BTreeMap<Modality, SampleSeries>) {
        for (modality, series) in all {
            let Some(sums) = self.0.get_mut(modality) else { continue };
            let (area, bands) = (series.valid.len() / series.datetimes.len().max(1), sums.len());
            if area == 0 {
                continue;
            }
            for (index, value) in series.pixels.iter().enumerate() {
                let (date, band, place) = (index / (area * bands), index / area % bands, index % area);
                if value.is_finite() && series.valid.get(date * area + place).is_some_and(|valid| *valid != 0) {
                    let (value, sum) = (f64::from(*value), &mut sums[band]);
                    *sum = (sum.0 + 1.0, sum.1 + value, sum.2 + value * value);
                }
            }
        }
    }

    /// Mean and deviation of each band. One that does not vary gets a standard deviation of 1.
    pub(crate) fn statistics(&self) -> Statistics {
        let mean = |sum: &(f64, f64, f64)| if sum.0 > 0.0 { sum.1 / sum.0 } else { 0.0 };
        let deviation = |sum: &(f64, f64, f64)| {
            let variance = if sum.0 > 0.0 { sum.2 / sum.0 - mean(sum) * mean(sum) } else { 0.0 };
            if variance > 1e-12 { variance.sqrt() } else { 1.0 }
        };
        let of = |sums: &Vec<_>| (sums.iter().map(mean).collect(), sums.iter().map(deviation).collect());
        self.0.iter().map(|(modality, sums)| (*modality, of(sums))).collect()
    }
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;

    fn offers(bands: &[&str]) -> BTreeMap<Modality, Offer> {
        let bands = bands.iter().map(ToString::to_string).collect();
        let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 2, size: 1, scale: 1 };
        BTreeMap::from([(Modality::S2, offer)])
    }

    #[test]
    fn constants_go_by_name_and_unknown_bands_are_named() {
        let found = published(&offers(&["B8A", "b02"])).unwrap();
        assert_eq!(found[&Modality::S2].0, [2581.64687018, 884.29673756]);
        assert!(published(&offers(&["B02", "B10"])).unwrap_err().to_string().contains("for bands B10"));
    }

    #[test]
    fn statistics_leave_out_what_is_invalid() {
        let series = SampleSeries {
            pixels: vec![1.0, 10.0, 3.0, 10.0, 99.0, 99.0],
            valid: vec![1, 1, 0],
            datetimes: vec![0, 1, 2],
        };
        let sample =
            Sample { series: BTreeMap::from([(Modality::S2, series)]), labels: vec![1].into(), ..Sample::default() };
        let found = measured(&[sample], &offers(&["B02", "B03"]));
        assert_eq!(found[&Modality::S2], (vec![2.0, 10.0], vec![1.0, 1.0]));
    }
}
