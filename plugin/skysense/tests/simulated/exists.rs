//! Output that is already there: `exists: fail | replace | append`.

use std::path::Path;

use serde_json::json;

use crate::bench::{Way, chips, names, predicted, read, scene, write, write_settings};
use crate::harness::{Bench, good, messages};

/// Ids of the items that a collection lists.
fn listed(out: &Path) -> Vec<String> {
    let collection = read(&out.join("collection.json"));
    let links = collection["links"].as_array().unwrap();
    links
        .iter()
        .filter(|link| link["rel"] == "item")
        .map(|link| link["href"].as_str().unwrap().split('/').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn fail_is_the_default_and_leaves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let bench = Bench::new(2, scene());
    let planned_before = good(bench.plan("stac.write", write_settings(&out, &json!({})), &[("maps", &predicted().0)]));
    write(&bench, predicted(), &out, &json!({})).unwrap();
    let tif = out.join("land-cover-all/class.tif");
    let (before, bytes) = (names(&out), std::fs::read(&tif).unwrap());
    // While planning, before anything is computed.
    let faults = bench.plan("stac.write", write_settings(&out, &json!({})), &[("maps", &predicted().0)]).err().unwrap();
    let told = messages(&faults);
    for part in ["output.exists", "/href", "collection.json", "exists: replace", "exists: append"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // And where another run was quicker.
    let error = bench.run(&planned_before, &[("maps", &predicted().0, predicted().1.clone())]).err().unwrap();
    assert_eq!(error.code, "output.exists", "{error}");
    assert_eq!((names(&out), std::fs::read(&tif).unwrap()), (before, bytes));
}

#[test]
fn replace_puts_the_new_in_place_of_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let bench = Bench::new(2, scene());
    write(&bench, predicted(), out, &json!({"outputs": ["class", "entropy"]})).unwrap();
    write(&bench, predicted(), out, &json!({"outputs": ["probability"], "exists": "replace"})).unwrap();
    let item = "land-cover-all";
    let expected = [
        "collection.json".to_owned(),
        item.to_owned(),
        format!("{item}/{item}.json"),
        format!("{item}/probability.tif"),
    ];
    assert_eq!(names(out), expected);
    // Other periods take the place of the old ones too.
    let monthly = Way { chips: chips(&json!({"period": "P1M"})), ..Way::of(scene()) }.run(&bench).unwrap();
    write(&bench, &monthly, out, &json!({"exists": "replace"})).unwrap();
    assert!(
        !out.join(item).exists() && listed(out).iter().all(|id| id.starts_with("land-cover-2021-")),
        "{:?}",
        names(out)
    );
}

#[test]
fn append_joins_and_refuses_an_id_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let bench = Bench::new(2, scene());
    write(&bench, predicted(), out, &json!({})).unwrap();
    let bytes = std::fs::read(out.join("land-cover-all/class.tif")).unwrap();
    let monthly = Way { chips: chips(&json!({"period": "P1M"})), ..Way::of(scene()) }.run(&bench).unwrap();
    let append = json!({"exists": "append"});
    write(&bench, &monthly, out, &append).unwrap();
    let ids = listed(out);
    assert!(ids.len() > 2 && ids.contains(&"land-cover-all".to_owned()), "{ids:?}");
    assert_eq!(std::fs::read(out.join("land-cover-all/class.tif")).unwrap(), bytes);
    // The collection covers all of them.
    let interval = &read(&out.join("collection.json"))["extent"]["temporal"]["interval"][0];
    let first = monthly.0.plan.facts["chips"]["periods"][0]["start"].clone();
    assert_eq!(interval[0], first);
    let faults = bench.plan("stac.write", write_settings(out, &append), &[("maps", &predicted().0)]).err().unwrap();
    assert!(messages(&faults).contains("land-cover-all.json"), "{}", messages(&faults));
}

#[test]
fn what_the_run_gives_names_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(1, scene());
    let rows = write(&bench, predicted(), folder.path(), &json!({})).unwrap();
    let rasters: Vec<_> = skysense_edges::RasterBatch::try_new(&rows[0]).unwrap().rows().collect();
    assert_eq!((rasters.len(), rasters[0].id.as_str(), rasters[0].period.as_str()), (1, "land-cover-all", "all"));
    assert!(Path::new(&rasters[0].href).is_file());
    let roles: Vec<_> = bench.told.of("output").into_iter().map(|record| record["role"].clone()).collect();
    assert_eq!(roles, [json!("asset"), json!("item"), json!("collection")]);
    for record in bench.told.of("output") {
        assert!(Path::new(record["href"].as_str().unwrap()).is_file(), "{record}");
    }
}
