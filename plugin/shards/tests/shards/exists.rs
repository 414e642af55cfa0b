//! What becomes of samples that are there: they stay, are joined, or give way as one.

use skysense_shards::{Duplicates, Exists, Outcome, Part, ShardError, ShardWriter, Shards, Writing};

use crate::support::{all_names, begin, bounds, files, header, names, push, sample, write};

#[test]
fn samples_that_are_there_stay_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..7, Exists::Fail);
    let before = files(folder.path());
    let told = begin(folder.path(), Exists::Fail, false).err().unwrap();
    assert!(matches!(told, ShardError::Exists { samples: 7, .. }), "{told}");
    assert!(files(folder.path()) == before);
}

#[test]
fn a_second_run_adds_samples_and_knows_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), 0..7, Exists::Fail);
    let before = files(folder.path());
    let mut writer = begin(folder.path(), Exists::Append, false).unwrap();
    assert_eq!(writer.found(), 7);
    for number in 0..12 {
        let outcome = push(&mut writer, sample(number));
        assert_eq!(outcome == Outcome::Known, number < 7, "{number}");
    }
    let second = writer.finish().unwrap();
    assert_eq!(all_names(folder.path()), (0..12).map(|number| format!("p{number:04}")).collect::<Vec<_>>());
    for (name, bytes) in &before {
        assert!(name == "manifest.json" || files(folder.path())[name] == *bytes, "{name} was touched");
    }
    assert_ne!(first.checksum(Part::Train), second.checksum(Part::Train));
    // A set that was added to orders its samples as before, with the new ones behind.
    let train = Shards::open(folder.path()).unwrap().part(Part::Train);
    let old: usize = first.samples(Part::Train);
    assert!((0..old).all(|number| train.about(number).unwrap().name[0].as_str() < "p0007"));
}

#[test]
fn other_bands_sizes_and_splits_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..3, Exists::Fail);
    let before = files(folder.path());
    let mut other = header();
    other.size = 8;
    other.modalities.get_mut("s2").unwrap().bands = vec!["B02".into(), "B08".into()];
    other.split.block = 5.0;
    let writing = Writing { exists: Exists::Append, workflow: "x".into(), resumed: false };
    let told = ShardWriter::begin(folder.path(), &other, &writing, 5, Duplicates::Drop).err().unwrap().to_string();
    for part in ["8 px, expected 4 px", "s2 has the bands B02, B08, expected B02, B03, B04", "blocks of 5 km"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(files(folder.path()) == before);
    // Replacing asks for nothing of what was there.
    ShardWriter::begin(folder.path(), &other, &Writing { exists: Exists::Replace, ..writing }, 5, Duplicates::Drop)
        .unwrap();
}

#[test]
fn a_sample_of_another_shape_is_refused_and_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = begin(folder.path(), Exists::Fail, false).unwrap();
    push(&mut writer, sample(1));
    let mut bad = sample(2);
    bad.series.get_mut("s2").unwrap().datetimes.pop();
    let around = bounds(&bad);
    let told = writer.push(bad, around).unwrap_err().to_string();
    assert!(told.contains("p0002@2021") && told.contains("s2"), "{told}");
    push(&mut writer, sample(3));
    writer.finish().unwrap();
    assert_eq!(all_names(folder.path()), ["p0001", "p0003"]);
}

#[test]
fn what_is_replaced_stays_until_the_new_set_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..7, Exists::Fail);
    let old = all_names(folder.path());
    let mut writer = begin(folder.path(), Exists::Replace, false).unwrap();
    for number in 20..33 {
        push(&mut writer, sample(number));
        assert_eq!(all_names(folder.path()), old, "readers see the old set");
    }
    drop(writer);
    assert_eq!(all_names(folder.path()), old, "so they do when the writing was broken off");
    write(folder.path(), 20..33, Exists::Replace);
    assert_eq!(all_names(folder.path()), (20..33).map(|number| format!("p{number:04}")).collect::<Vec<_>>());
    let listed = Shards::open(folder.path()).unwrap().manifest().shards.len();
    assert_eq!(names(folder.path()).len(), 1 + 2 * listed, "nothing else is left: {:?}", names(folder.path()));
}

#[test]
fn the_same_pixels_under_another_name_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..3, Exists::Fail);
    let copy = |name: &str| {
        let mut copy = sample(1);
        copy.place.place = name.into();
        copy.series.get_mut("s2").unwrap().datetimes.fill(5);
        copy.series.get_mut("s2").unwrap().items.fill(vec!["elsewhere".into()]);
        copy
    };
    let mut writer = begin(folder.path(), Exists::Append, false).unwrap();
    assert_eq!(push(&mut writer, copy("again")), Outcome::Duplicate, "of a finished shard");
    push(&mut writer, sample(9));
    let mut nine = sample(9);
    nine.place.place = "nine".into();
    assert_eq!(push(&mut writer, nine), Outcome::Duplicate, "of an open shard");
    drop(writer);
    let with = |duplicates| {
        let writing = Writing { exists: Exists::Append, ..Writing::default() };
        let mut writer = ShardWriter::begin(folder.path(), &header(), &writing, 5, duplicates).unwrap();
        let row = copy("again");
        let around = bounds(&row);
        writer.push(row, around)
    };
    let told = with(Duplicates::Fail).unwrap_err().to_string();
    assert!(told.contains("again@2021") && told.contains("p0001@2021"), "{told}");
    assert!(matches!(with(Duplicates::Keep), Ok(Outcome::Written(_))));
}

#[test]
fn somebody_elses_folder_and_a_second_writer_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years").unwrap();
    for exists in [Exists::Fail, Exists::Append, Exists::Replace] {
        let told = begin(folder.path(), exists, false).err().unwrap().to_string();
        assert!(told.contains("thesis.txt"), "{told}");
    }
    assert_eq!(names(folder.path()), ["thesis.txt"]);
    let busy = tempfile::tempdir().unwrap();
    let _first = begin(busy.path(), Exists::Fail, false).unwrap();
    let told = begin(busy.path(), Exists::Append, false).err().unwrap();
    assert!(matches!(told, ShardError::Busy { .. }), "{told}");
}

#[test]
fn a_footprint_between_both_parts_belongs_to_neither() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = begin(folder.path(), Exists::Fail, false).unwrap();
    // A box over many blocks of 20 km.
    assert_eq!(writer.push(sample(1), [0.0, 0.0, 5.0, 5.0]).unwrap(), Outcome::Border);
    assert!(matches!(push(&mut writer, sample(1)), Outcome::Written(_)), "it may come at another place");
}
