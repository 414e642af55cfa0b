//! `data.write`: counts, filters, what is there already, and what pretraining reads of it.

use serde_json::json;
use skysense_contract::Modality;
use skysense_edges::{SampleBatch, SampleRow};
use skysense_plugin::ShardPlaces;
use skysense_shards::{Part, Shards};
use skysense_train::pretrain::Places;

use crate::harness::{Bench, good, messages};
use crate::support::{places, samples, scene, search, small_set, write};

#[test]
fn what_the_nodes_gave_is_what_pretraining_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, samples) = small_set(folder.path());
    let set = folder.path().join("set");
    let given: Vec<SampleRow> =
        samples.1.iter().map(|batch| SampleBatch::try_new(batch).unwrap().row(0).unwrap()).collect();
    let mut read = 0;
    for part in Part::ALL {
        let source = ShardPlaces::open(&set, part).unwrap();
        assert_eq!((source.size(), source.offers().len()), (16, 3));
        assert_eq!((source.offers()[&Modality::Hr].size, source.offers()[&Modality::S2].size), (512, 16));
        for index in 0..source.count() {
            let place = source.read(index).unwrap();
            let row = given.iter().find(|row| row.name() == place.name).unwrap();
            assert_eq!(place.centre, row.place.centre);
            assert_eq!(place.series.len(), row.series.len());
            for (modality, series) in &place.series {
                let expected = &row.series[modality.name()];
                assert_eq!(series.pixels, expected.pixels.as_ref().to_f32());
                assert_eq!((&series.valid, &series.datetimes), (&expected.valid, &expected.datetimes));
            }
            read += 1;
        }
        assert!(source.count() > 0 && source.read(source.count()).is_err());
    }
    let counts = bench.told.of("count");
    let count =
        |name: &str| counts.iter().filter(|c| c["name"] == name).map(|c| c["value"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(count("samples_train") + count("samples_validation"), read);
    assert_eq!(read + count("samples_between_parts"), given.len() as u64, "{counts:?}");
    // Some places lie on the high-resolution image, and their sample is named by its day.
    let with_hr = given.iter().filter(|row| row.series.contains_key("hr")).count();
    assert!(with_hr > 0 && with_hr < given.len());
    assert!(given.iter().all(|row| !row.series.contains_key("hr") || row.period.starts_with("2021-")));
    let checksums: Vec<String> =
        Part::ALL.into_iter().map(|part| ShardPlaces::open(&set, part).unwrap().checksum().to_owned()).collect();
    assert_ne!(checksums[0], checksums[1]);
}

#[test]
fn a_plan_counts_and_tells_what_stands_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, samples) = small_set(folder.path());
    let plan = |with: serde_json::Value| bench.plan("data.write", with, &[("samples", &samples.0)]);
    let good = good(plan(json!({"href": "other", "validation": {"block": 1}})));
    let cost = |name: &str| good.plan.costs.iter().find(|cost| cost.name == name).unwrap().value;
    assert!(cost("samples_at_most") >= samples.1.len() as f64 && cost("written") > 0.0);
    assert_eq!(good.plan.facts["size"], 16);
    let told = |with: serde_json::Value| messages(&plan(with).err().unwrap());
    let taken = told(json!({"href": "set", "validation": {"share": 0.4, "block": 0.5, "seed": 1}}));
    assert!(
        taken.contains("/href") && taken.contains("samples already") && taken.contains("exists: append"),
        "{taken}"
    );
    let other = told(json!({"href": "set", "exists": "append", "validation": {"share": 0.4, "block": 2}}));
    assert!(other.contains("blocks of 2 km") && other.contains("expected 0.4 of blocks of 0.5 km"), "{other}");
    let many = told(json!({"href": "x", "min_valid": 2, "shard_size": 0, "validation": {"share": 1.5, "block": 0}}));
    for field in ["/min_valid", "/shard_size", "/validation/share", "/validation/block"] {
        assert!(many.contains(field), "{field}: {many}");
    }
    let small = told(json!({"href": "x", "validation": {"block": 0.2}}));
    assert!(small.contains("0.16 km") && small.contains("make blocks larger"), "{small}");
}

#[test]
fn samples_of_other_bands_are_refused_by_name_and_those_of_fewer_modalities_join() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, _) = small_set(folder.path());
    let scenes = search(&bench, "scene/catalog.json");
    let places = places(&bench, &scenes.0, json!({"method": "grid", "spacing": 160, "size": 16}));
    let split = json!({"share": 0.4, "block": 0.5, "seed": 1});
    let append = json!({"href": "set", "exists": "append", "shard_size": 8, "validation": split});
    let three = samples(&bench, &scenes, &places, json!({"bands": {"s2": ["B02", "B03", "B04"]}}));
    let told = messages(&bench.plan("data.write", append.clone(), &[("samples", &three.0)]).err().unwrap());
    assert!(told.contains("s2 has the bands B02, B03, B04, expected B02"), "{told}");
    let before = Shards::open(&folder.path().join("set")).unwrap().manifest().samples(Part::Train);
    let radar = samples(&bench, &scenes, &places, json!({"modalities": ["s1"], "period": "P1M"}));
    write(&bench, &radar, &append).unwrap();
    let shards = Shards::open(&folder.path().join("set")).unwrap();
    assert!(shards.manifest().samples(Part::Train) > before);
    // The same once more adds nothing.
    let now = shards.manifest().clone();
    write(&bench, &radar, &append).unwrap();
    assert_eq!(Shards::open(&folder.path().join("set")).unwrap().manifest().shards, now.shards);
}

#[test]
fn filters_leave_out_and_count() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, samples) = small_set(folder.path());
    let set = |with: serde_json::Value| {
        let mut all = json!({"href": "filtered", "exists": "replace", "validation": {"share": 0, "block": 5}});
        with.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        write(&bench, &samples, &all)
    };
    set(json!({"require": ["hr"], "min_valid": 0.9})).unwrap();
    let train = Shards::open(&folder.path().join("filtered")).unwrap().part(Part::Train);
    assert!(train.count() > 0 && train.count() < samples.1.len());
    for number in 0..train.count() {
        let about = train.about(number).unwrap();
        assert!(about.dates.contains_key("hr"));
        assert!(about.dates.values().flatten().all(|date| date.valid >= 0.9));
    }
    let error = set(json!({"require": ["hr"], "min_dates": {"hr": 2}})).unwrap_err();
    assert_eq!(error.code, "data.empty", "{error}");
    assert!(error.to_string().contains("filtered"), "{error}");
    // What was there is still there.
    assert_eq!(Shards::open(&folder.path().join("filtered")).unwrap().part(Part::Train).count(), train.count());
}

#[test]
fn chips_of_one_grid_are_samples_too() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let scenes = search(&bench, &scene(&bench, "scene", &json!({})));
    let chips = good(bench.plan("raster.chips", json!({"size": 16, "overlap": 0}), &[("items", &scenes.0)]));
    let batches = bench.run(&chips, &[("items", &scenes.0, scenes.1.clone())]).unwrap();
    let manifest =
        write(&bench, &(chips, batches), &json!({"href": "set", "validation": {"share": 0.3, "block": 0.4}})).unwrap();
    assert_eq!(manifest["header"]["size"], 16);
    let shards = Shards::open(&folder.path().join("set")).unwrap();
    let train = shards.part(Part::Train);
    assert!(train.count() > 10);
    let row = train.read(3).unwrap().row(0).unwrap();
    assert!(row.place.place.starts_with(&format!("{}-", row.place.grid.crs.epsg_code().unwrap())));
    assert_eq!(row.place.grid.width, 16);
}

#[test]
fn a_run_that_goes_on_keeps_what_was_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (bench, samples) = small_set(folder.path());
    let with = json!({"href": "again", "shard_size": 4, "validation": {"share": 0.4, "block": 0.5, "seed": 1}});
    let node = good(bench.plan("data.write", with.clone(), &[("samples", &samples.0)]));
    // The stream breaks off after most of the samples.
    let most = samples.1.len() * 3 / 4;
    let broken: skysense_abi::BatchStream = Box::new(
        samples
            .1
            .clone()
            .into_iter()
            .take(most)
            .map(Ok)
            .chain([Err(skysense_abi::NodeError::new("catalog.http", "gone"))]),
    );
    let error = bench.run_streams(&node, vec![("samples", &samples.0, broken)]).unwrap_err();
    assert_eq!(error.code, "catalog.http");
    let names = |folder: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let again = folder.path().join("again");
    assert!(!names(&again).contains(&"manifest.json".to_owned()));
    let resumed = Bench::resumed(1, folder.path());
    write(&resumed, &samples, &with).unwrap();
    let known = resumed.told.of("count").iter().find(|count| count["name"] == "samples_known").cloned().unwrap();
    assert!(known["value"].as_u64().unwrap() >= 8, "{known}");
    let mut fresh = with.clone();
    fresh["href"] = json!("fresh");
    write(&bench, &samples, &fresh).unwrap();
    let other = folder.path().join("fresh");
    assert_eq!(names(&again), names(&other));
    for name in names(&other) {
        assert!(std::fs::read(again.join(&name)).unwrap() == std::fs::read(other.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn places_that_no_item_shows_and_dates_that_do_not_meet_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, folder.path());
    let scenes = search(&bench, &scene(&bench, "scene", &json!({"hr": 32})));
    let elsewhere = good(bench.plan("sample.locations", json!({"count": 5, "bbox": [0.0, 0.0, 1.0, 1.0]}), &[]));
    let plan = |places, with| bench.plan("raster.samples", with, &[("items", &scenes.0), ("locations", places)]);
    let told = messages(&plan(&elsewhere, json!({})).err().unwrap());
    assert!(told.contains("no place has a sample") && told.contains("draw places where there are items"), "{told}");
    let here = places(&bench, &scenes.0, json!({"count": 5, "size": 16}));
    let bad = messages(
        &plan(&here.0, json!({"window": "P30D", "modalities": ["s2"], "require": ["hr"], "min_valid": 3}))
            .err()
            .unwrap(),
    );
    assert!(bad.contains("/require") && bad.contains("/min_valid"), "{bad}");
    let count = messages(&bench.plan("sample.locations", json!({"bbox": [0, 0, 1, 1]}), &[]).err().unwrap());
    assert!(count.contains("/count"), "{count}");
    let nowhere = messages(&bench.plan("sample.locations", json!({"count": 3}), &[]).err().unwrap());
    assert!(nowhere.contains("/area") && nowhere.contains("stac.search"), "{nowhere}");
    let excluded = json!({"count": 3, "bbox": [0, 0, 1, 1], "exclude": "POLYGON((-1 -1, 2 -1, 2 2, -1 2, -1 -1))"});
    let empty = messages(&bench.plan("sample.locations", excluded, &[]).err().unwrap());
    assert!(empty.contains("area.empty"), "{empty}");
    let line = messages(
        &bench.plan("sample.locations", json!({"count": 3, "area": "LINESTRING(0 0, 1 1)"}), &[]).err().unwrap(),
    );
    assert!(line.contains("/area") && line.contains("only polygons have an area"), "{line}");
}
