//! What is written comes back bit for bit, from any thread, with no more bytes read than it has.

use std::collections::BTreeMap;

use skysense_edges::{Pixels, SampleRow};
use skysense_shards::{Exists, Part, Shards};

use crate::support::{files, noise, sample, write};

/// Bits of all values, so that what is not a number is compared, too.
fn bits(pixels: &Pixels) -> Vec<u32> {
    match pixels {
        Pixels::U8(values) => values.iter().map(|&v| u32::from(v)).collect(),
        Pixels::U16(values) => values.iter().map(|&v| u32::from(v)).collect(),
        Pixels::I16(values) => values.iter().map(|&v| v as u32).collect(),
        Pixels::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
    }
}

fn assert_same(found: &SampleRow, expected: &SampleRow) {
    assert_eq!((&found.place, &found.period), (&expected.place, &expected.period));
    assert_eq!(found.series.keys().collect::<Vec<_>>(), expected.series.keys().collect::<Vec<_>>());
    for (modality, series) in &expected.series {
        let other = &found.series[modality];
        assert_eq!(other.pixels.dtype(), series.pixels.dtype());
        assert!(bits(&other.pixels) == bits(&series.pixels), "{modality} of {}", expected.name());
        assert_eq!(
            (other.shape, &other.valid, &other.datetimes, &other.items),
            (series.shape, &series.valid, &series.datetimes, &series.items)
        );
    }
}

#[test]
fn every_type_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(folder.path(), 0..23, Exists::Fail);
    let shards = Shards::open(folder.path()).unwrap();
    assert_eq!(*shards.manifest(), manifest);
    let mut seen = 0;
    for part in Part::ALL {
        let part = shards.part(part);
        assert!(part.count() > 3);
        for number in 0..part.count() {
            let row = part.read(number).unwrap().row(0).unwrap();
            assert_same(&row, &sample(row.place.place[1..].parse().unwrap()));
            seen += 1;
        }
        assert!(part.read(part.count()).is_err());
    }
    assert_eq!(seen, 23);
    assert_eq!(manifest.header.modalities["s2"].dates, 4, "the most that a sample has");
}

#[test]
fn the_index_says_what_a_sample_holds() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..6, Exists::Fail);
    let train = Shards::open(folder.path()).unwrap().part(Part::Train);
    for number in 0..train.count() {
        let about = train.about(number).unwrap();
        let row = sample(about.name[0][1..].parse().unwrap());
        assert_eq!((about.centre, about.bounds), (row.place.centre, crate::support::bounds(&row)));
        let region = skysense_contract::region(row.place.centre[0], row.place.centre[1], 4096);
        assert_eq!(about.region as usize, region);
        for (modality, series) in &row.series {
            let seen = &about.dates[modality];
            assert_eq!(seen.iter().map(|date| date.datetime).collect::<Vec<_>>(), series.datetimes);
            let area = series.shape[2] * series.shape[3];
            let valid = series.valid[..area].iter().map(|&v| f64::from(v)).sum::<f64>() / area as f64;
            assert!((f64::from(seen[0].valid) - valid).abs() < 1e-6);
        }
        assert_eq!(about.dates.len(), row.series.len());
    }
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(a.path(), 0..12, Exists::Fail);
    write(b.path(), 0..12, Exists::Fail);
    assert!(files(a.path()) == files(b.path()));
}

#[test]
fn shuffled_access_from_several_threads_reads_each_sample_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..40, Exists::Fail);
    let shards = Shards::open(folder.path()).unwrap();
    let train = shards.part(Part::Train);
    assert_eq!(train.bytes_read(), 0, "opening reads no shard");
    let lengths: Vec<u64> = {
        let other = shards.part(Part::Train);
        (0..other.count()).map(|number| other.about(number).unwrap().block.1).collect()
    };
    let indexes: u64 = files(folder.path())
        .iter()
        .filter(|(name, _)| name.starts_with("train") && name.ends_with(".index.arrow"))
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    // Every thread reads its own share in an order of its own.
    let order = |thread: usize| {
        let mut own: Vec<usize> = (0..train.count()).filter(|number| number % 4 == thread).collect();
        let mut next = noise(thread as u64 + 9);
        (1..own.len()).rev().for_each(|last| own.swap(last, next() as usize % (last + 1)));
        own
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (train, order) = (&train, order(thread));
            scope.spawn(move || {
                for number in order {
                    let row = train.read(number).unwrap().row(0).unwrap();
                    assert_same(&row, &sample(row.place.place[1..].parse().unwrap()));
                }
            });
        }
    });
    // Threads that open the same shard at once may each read its index.
    let read = train.bytes_read();
    let samples: u64 = lengths.iter().sum();
    assert!(read >= samples + indexes && read <= samples + 4 * indexes, "{read}: {samples} and {indexes}");
    let one = shards.part(Part::Train);
    one.read(7).unwrap();
    let shard_index = files(folder.path())["train-00001.index.arrow"].len() as u64;
    assert_eq!(one.bytes_read(), lengths[7] + shard_index, "one sample costs itself and the index of its shard");
}

#[test]
fn any_arrow_library_reads_a_shard() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..6, Exists::Fail);
    let file = std::fs::File::open(folder.path().join("train-00000.arrow")).unwrap();
    let reader = arrow::ipc::reader::FileReader::try_new(file, None).unwrap();
    let mut found = BTreeMap::new();
    for batch in reader {
        let batch = skysense_edges::SampleBatch::try_new(&batch.unwrap()).unwrap();
        assert_eq!(batch.len(), 1, "one record batch for each sample");
        let row = batch.row(0).unwrap();
        found.insert(row.place.place.clone(), row);
    }
    assert!(found.len() > 2);
    for row in found.values() {
        assert_same(row, &sample(row.place.place[1..].parse().unwrap()));
    }
}
