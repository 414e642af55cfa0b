//! What goes through all of a set: statistics, and parts that share no ground.

use skysense_edges::Pixels;
use skysense_shards::{Exists, Outcome, Part, Shards, stats};

use crate::support::{begin, push, sample, write};

/// Sum, count and values of a band by plain loops over all samples of a part.
fn plain(part: Part, folder: &std::path::Path, modality: &str, band: usize, bands: usize) -> Vec<f64> {
    let reader = Shards::open(folder).unwrap().part(part);
    let mut values = Vec::new();
    for number in 0..reader.count() {
        let row = sample(reader.about(number).unwrap().name[0][1..].parse().unwrap());
        let Some(series) = row.series.get(modality) else { continue };
        let area = series.shape[2] * series.shape[3];
        for date in 0..series.shape[0] {
            for pixel in 0..area {
                if series.valid[date * area + pixel] == 0 {
                    continue;
                }
                let at = (date * bands + band) * area + pixel;
                let value = match &series.pixels {
                    Pixels::U8(values) => f64::from(values[at]),
                    Pixels::I16(values) => f64::from(values[at]),
                    Pixels::F32(values) => f64::from(values[at]),
                    Pixels::U16(values) => f64::from(values[at]),
                };
                if value.is_finite() {
                    values.push(value);
                }
            }
        }
    }
    values
}

#[test]
fn statistics_are_those_of_plain_loops() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..21, Exists::Fail);
    let shards = Shards::open(folder.path()).unwrap();
    for part in Part::ALL {
        let found = stats(&shards.part(part), |bad| panic!("{bad}"), |_| Ok::<(), ()>(())).unwrap();
        for (modality, bands) in [("hr", 2), ("s2", 3), ("s1", 2)] {
            let found = &found[modality];
            for band in 0..bands {
                let values = plain(part, folder.path(), modality, band, bands);
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
                assert!(near(found.mean[band], mean), "{modality} {band}: {} {mean}", found.mean[band]);
                assert!(near(found.std[band], std), "{modality} {band}: {} {std}", found.std[band]);
                assert_eq!(found.count[band], values.len() as u64);
                assert_eq!(found.min[band], values.iter().copied().fold(f64::INFINITY, f64::min));
                assert_eq!(found.max[band], values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            }
            assert!(found.valid > 0.7 && found.valid < 0.9, "about four of five pixels: {}", found.valid);
        }
    }
}

#[test]
fn a_damaged_sample_is_named_and_counts_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..9, Exists::Fail);
    let train = Shards::open(folder.path()).unwrap().part(Part::Train);
    let about = train.about(1).unwrap();
    let path = folder.path().join("train-00000.arrow");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(about.block.0 + about.block.1 / 2) as usize] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut told = Vec::new();
    let bad = |error: skysense_shards::ShardError| {
        told.push(error.to_string());
        Ok::<(), ()>(())
    };
    let found = stats(&train, bad, |_| Ok(())).unwrap();
    assert!(told.len() == 1 && told[0].contains(&about.name[0]), "{told:?}");
    assert!(found["s2"].count[0] > 0);
    let stopped = stats(&train, |_| Ok(()), |done| if done < 2 { Ok(()) } else { Err("stop") });
    assert_eq!(stopped, Err("stop"));
}

#[test]
fn no_footprints_that_overlap_lie_in_different_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = begin(folder.path(), Exists::Fail, false).unwrap();
    let mut border = 0;
    // Samples 200 m wide, 100 m apart, across the antimeridian, over 60 km of a line.
    for number in 0..600_u64 {
        let mut row = sample(number);
        row.series.retain(|modality, _| modality == "s2");
        let longitude = 179.7 + 0.0009 * number as f64;
        let wrap = |degrees: f64| (degrees + 180.0).rem_euclid(360.0) - 180.0;
        row.place.centre = [wrap(longitude), -17.0];
        let around = [wrap(longitude - 9e-4), -17.0009, wrap(longitude + 9e-4), -16.9991];
        border += usize::from(writer.push(row, around).unwrap() == Outcome::Border);
    }
    let manifest = writer.finish().unwrap();
    assert!(border > 0 && manifest.samples(Part::Train) > 50 && manifest.samples(Part::Validation) > 50);
    let shards = Shards::open(folder.path()).unwrap();
    let east = |part: Part| -> Vec<[f64; 2]> {
        let reader = shards.part(part);
        let around = |number| reader.about(number).unwrap().bounds;
        let turn = |degrees: f64| if degrees < 0.0 { degrees + 360.0 } else { degrees };
        (0..reader.count()).map(around).map(|b| [turn(b[0]), turn(b[2])]).collect()
    };
    let (train, validation) = (east(Part::Train), east(Part::Validation));
    for a in &train {
        assert!(validation.iter().all(|b| a[1] <= b[0] || b[1] <= a[0]), "{a:?}");
    }
    // The two parts together hold every sample once.
    assert_eq!(train.len() + validation.len() + border, 600);
}

#[test]
fn a_writer_holds_one_open_shard_for_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = begin(folder.path(), Exists::Fail, false).unwrap();
    for number in 0..30 {
        push(&mut writer, sample(number));
        let parts = crate::support::names(folder.path()).iter().filter(|name| name.ends_with(".part")).count();
        assert!(parts <= 2, "one open shard for each part");
    }
    writer.finish().unwrap();
}
