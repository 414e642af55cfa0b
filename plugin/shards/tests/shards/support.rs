//! Made-up samples.

use std::collections::BTreeMap;
use std::path::Path;

use skysense_edges::{Dtype, ModalityFacts, Pixels, PlaceRow, SampleRow, SeriesRow};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_shards::{Duplicates, Exists, Header, Manifest, Outcome, ShardWriter, Shards, Split, Writing};

/// Pixels along a side of a sample.
pub(crate) const SIZE: usize = 4;

pub(crate) fn header() -> Header {
    let facts = |bands: &[&str], unit: &str, dtype, scale| ModalityFacts {
        sensor: "made-up".into(),
        bands: bands.iter().map(ToString::to_string).collect(),
        unit: unit.into(),
        dtype,
        scale,
        dates: 4,
    };
    Header {
        size: SIZE,
        resolution: 10.0,
        modalities: BTreeMap::from([
            ("hr".into(), facts(&["red", "green"], "byte", Dtype::U8, 32)),
            ("s2".into(), facts(&["B02", "B03", "B04"], "reflectance_e4", Dtype::I16, 1)),
            ("s1".into(), facts(&["VV", "VH"], "decibel", Dtype::F32, 1)),
        ]),
        split: Split { share: 0.3, block: 20.0, seed: 0 },
    }
}

/// Scattered numbers.
pub(crate) fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// A sample with numbers of every kind: the ends of each type, negative zero, tiny and infinite ones.
pub(crate) fn sample(number: u64) -> SampleRow {
    let mut next = noise(number + 1);
    let longitude = -170.0 + 0.31 * number as f64;
    let grid =
        GeoBox::new(Crs::utm(longitude, 10.0), Affine::north_up(1e5 + 40.0 * number as f64, 1e6, 10.0), SIZE, SIZE);
    let mut series = BTreeMap::new();
    let mut of = |name: &str, bands: usize, scale: usize, dates: usize, next: &mut dyn FnMut() -> u64| {
        let side = SIZE * scale;
        let count = dates * bands * side * side;
        let pixels = match name {
            "hr" => Pixels::U8((0..count).map(|_| next() as u8).collect()),
            "s2" => Pixels::I16((0..count).map(|_| next() as i16).collect()),
            _ => {
                let odd = [f32::NAN, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 2.0, -12.5];
                Pixels::F32((0..count).map(|_| odd[next() as usize % odd.len()]).collect())
            }
        };
        let row = SeriesRow {
            shape: [dates, bands, side, side],
            pixels,
            valid: (0..dates * side * side).map(|_| u8::from(!next().is_multiple_of(5))).collect(),
            datetimes: (0..dates as i64).map(|date| 1_600_000_000_000 + 864_000_000 * date).collect(),
            items: (0..dates).map(|date| vec![format!("{name}-{number}-{date}"), "ü".into()]).collect(),
        };
        series.insert(name.to_owned(), row);
    };
    of("s2", 3, 1, 1 + (number % 4) as usize, &mut next);
    if number.is_multiple_of(2) {
        of("s1", 2, 1, 2, &mut next);
    }
    if number.is_multiple_of(3) {
        of("hr", 2, 32, 1, &mut next);
    }
    let place = PlaceRow { place: format!("p{number:04}"), centre: [longitude, 10.0], grid: grid.unwrap() };
    SampleRow { place, period: "2021".into(), series }
}

/// `[west, south, east, north]` of a sample: 40 m around its middle.
pub(crate) fn bounds(row: &SampleRow) -> [f64; 4] {
    let [longitude, latitude] = row.place.centre;
    [longitude - 2e-4, latitude - 2e-4, longitude + 2e-4, latitude + 2e-4]
}

pub(crate) fn begin(folder: &Path, exists: Exists, resumed: bool) -> skysense_shards::Result<ShardWriter> {
    let writing = Writing { exists, workflow: "w".repeat(64), resumed };
    ShardWriter::begin(folder, &header(), &writing, 5, Duplicates::Drop)
}

pub(crate) fn push(writer: &mut ShardWriter, row: SampleRow) -> Outcome {
    let bounds = bounds(&row);
    writer.push(row, bounds).unwrap()
}

/// Writes the samples of these numbers.
pub(crate) fn write(folder: &Path, numbers: impl IntoIterator<Item = u64>, exists: Exists) -> Manifest {
    let mut writer = begin(folder, exists, false).unwrap();
    for number in numbers {
        assert!(matches!(push(&mut writer, sample(number)), Outcome::Written(_)), "{number}");
    }
    writer.finish().unwrap()
}

/// Names of the files in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every file with its bytes.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder).into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

/// Places of all samples, of both parts.
pub(crate) fn all_names(folder: &Path) -> Vec<String> {
    let shards = Shards::open(folder).unwrap();
    let mut names = Vec::new();
    for part in skysense_shards::Part::ALL {
        let part = shards.part(part);
        names.extend((0..part.count()).map(|number| part.about(number).unwrap().name[0].clone()));
    }
    names.sort();
    names
}
