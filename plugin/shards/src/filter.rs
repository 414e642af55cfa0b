//! Which samples are good enough to learn from.

use std::collections::BTreeMap;
use std::fmt;

use skysense_edges::{Pixels, SampleRow, SeriesRow};

/// What a sample must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Share of valid pixels below which a date leaves a sample: outside of images and under clouds, where a mask says so.
    pub min_valid: f64,
    /// Fewest dates by modality, of those that are left. A modality with fewer leaves the sample, unless it is required.
    pub min_dates: BTreeMap<String, usize>,
    /// Modalities without which a sample is left out.
    pub require: Vec<String>,
}

/// Why a sample is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// No date of any modality is left.
    Nothing,
    /// A required modality has too few dates.
    Lacking(String),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("it has no date that is clear enough"),
            Self::Lacking(modality) => write!(f, "it has too few clear dates of {modality}"),
        }
    }
}

impl Filter {
    /// The sample without the dates and modalities that are not good enough.
    ///
    /// # Errors
    /// Why it is left out.
    pub fn apply(&self, mut row: SampleRow) -> Result<SampleRow, Rejected> {
        row.series = std::mem::take(&mut row.series)
            .into_iter()
            .filter_map(|(modality, series)| {
                let series = clear(series, self.min_valid)?;
                let fewest = self.min_dates.get(&modality).copied().unwrap_or(1);
                (series.shape[0] >= fewest.max(1)).then_some((modality, series))
            })
            .collect();
        if let Some(modality) = self.require.iter().find(|modality| !row.series.contains_key(*modality)) {
            return Err(Rejected::Lacking(modality.clone()));
        }
        if row.series.is_empty() { Err(Rejected::Nothing) } else { Ok(row) }
    }
}

/// The dates of which enough is valid; `None` where none is left.
fn clear(series: SeriesRow, min_valid: f64) -> Option<SeriesRow> {
    let [dates, bands, height, width] = series.shape;
    let area = height * width;
    let enough = |date: usize| {
        let valid = series.valid[date * area..][..area].iter().filter(|&&valid| valid != 0).count();
        valid > 0 && valid as f64 >= min_valid * area as f64
    };
    let kept: Vec<usize> = (0..dates).filter(|&date| enough(date)).collect();
    if kept.len() == dates {
        return Some(series);
    }
    Some(SeriesRow {
        shape: [kept.len(), bands, height, width],
        pixels: match &series.pixels {
            Pixels::U8(values) => Pixels::U8(pick(values, bands * area, &kept)),
            Pixels::U16(values) => Pixels::U16(pick(values, bands * area, &kept)),
            Pixels::I16(values) => Pixels::I16(pick(values, bands * area, &kept)),
            Pixels::F32(values) => Pixels::F32(pick(values, bands * area, &kept)),
        },
        valid: pick(&series.valid, area, &kept),
        datetimes: pick(&series.datetimes, 1, &kept),
        items: pick(&series.items, 1, &kept),
    })
    .filter(|_| !kept.is_empty())
}

/// The parts of `size` values with these numbers.
fn pick<T: Clone>(values: &[T], size: usize, parts: &[usize]) -> Vec<T> {
    parts.iter().flat_map(|part| values[part * size..][..size].iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use skysense_edges::PlaceRow;
    use skysense_grid::{Affine, Crs, GeoBox};

    use super::*;

    fn sample() -> SampleRow {
        let grid = GeoBox::new(Crs::epsg(32633), Affine::north_up(0.0, 0.0, 10.0), 2, 1).unwrap();
        let series = |bands: usize, valid: &[u8]| SeriesRow {
            shape: [valid.len() / 2, bands, 1, 2],
            pixels: Pixels::I16((0..(valid.len() * bands) as i16).collect()),
            valid: valid.to_vec(),
            datetimes: (0..valid.len() as i64 / 2).collect(),
            items: (0..valid.len() / 2).map(|date| vec![format!("i{date}")]).collect(),
        };
        SampleRow {
            place: PlaceRow { place: "a".into(), centre: [15.0, 0.0], grid },
            period: "all".into(),
            series: BTreeMap::from([
                ("s2".into(), series(2, &[1, 1, 0, 1, 0, 0, 1, 1])),
                ("s1".into(), series(1, &[0, 1])),
            ]),
        }
    }

    #[test]
    fn cloudy_dates_leave_with_their_pixels() {
        let kept = Filter { min_valid: 0.6, ..Filter::default() }.apply(sample()).unwrap();
        assert_eq!(kept.series.keys().collect::<Vec<_>>(), ["s2"]);
        let s2 = &kept.series["s2"];
        assert_eq!((s2.shape, &s2.valid, &s2.datetimes), ([2, 2, 1, 2], &vec![1; 4], &vec![0, 3]));
        assert_eq!(s2.pixels, Pixels::I16(vec![0, 1, 2, 3, 12, 13, 14, 15]));
        assert_eq!(s2.items, [["i0"], ["i3"]]);
        // A date without any valid pixel goes even where nothing is asked.
        assert_eq!(Filter::default().apply(sample()).unwrap().series["s2"].shape[0], 3);
    }

    #[test]
    fn too_few_dates_and_lacking_modalities_are_told() {
        let fewest = |count: usize| BTreeMap::from([("s2".to_owned(), count)]);
        let filter = Filter { min_dates: fewest(4), ..Filter::default() };
        assert_eq!(filter.apply(sample()).unwrap().series.keys().collect::<Vec<_>>(), ["s1"]);
        let filter = Filter { min_dates: fewest(4), require: vec!["s2".into()], ..Filter::default() };
        assert_eq!(filter.apply(sample()), Err(Rejected::Lacking("s2".into())));
        let filter = Filter { require: vec!["hr".into()], ..Filter::default() };
        assert_eq!(filter.apply(sample()).unwrap_err().to_string(), "it has too few clear dates of hr");
        let filter = Filter { min_valid: 1.1, ..Filter::default() };
        assert_eq!(filter.apply(sample()), Err(Rejected::Nothing));
    }
}
