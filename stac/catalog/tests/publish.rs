//! Results as items and a collection: whole, the same every time, and readable by our own search.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use skysense_catalog::{
    AssetRecord, BandRecord, Bbox, CatalogError, ClassRecord, CollectionRecord, DataType, Exists, ItemRecord,
    ModelRecord, Published, Publishing, SearchRequest, Statistics, Target, footprint, parse_datetime, search,
};
use skysense_grid::{Affine, Crs, GeoBox};

fn about() -> CollectionRecord {
    CollectionRecord {
        id: "crop-map".into(),
        title: "Crops".into(),
        description: "Crop classes".into(),
        license: "CC-BY-4.0".into(),
        keywords: vec!["crops".into()],
    }
}

/// A record whose file lies in the hidden folder of its item.
fn record(publishing: &Publishing, id: &str) -> ItemRecord {
    let file = publishing.folder(id).unwrap().join("classes.tif");
    std::fs::write(&file, "pixels").unwrap();
    let corners = [(14.0, 46.0), (15.0, 46.0), (15.0, 45.0), (14.0, 45.0)];
    ItemRecord {
        id: id.into(),
        title: "Crops of 2021".into(),
        interval: (parse_datetime("2021-03-01").unwrap(), parse_datetime("2021-10-31").unwrap()),
        geometry: footprint(&corners),
        bbox: Bbox([14.0, 45.0, 15.0, 46.0]),
        assets: vec![AssetRecord {
            key: "classes".into(),
            file,
            title: "Classes".into(),
            roles: vec!["data".into()],
            media_type: AssetRecord::COG.into(),
            geobox: Some(
                GeoBox::new(Crs::epsg(32633), Affine::north_up(500_000.0, 5_000_000.0, 10.0), 64, 32).unwrap(),
            ),
            bands: vec![BandRecord {
                name: "class".into(),
                description: None,
                dtype: DataType::Uint8,
                nodata: Some(255.0),
                unit: None,
                scale: None,
                offset: None,
                statistics: Some(Statistics {
                    minimum: 0.0,
                    maximum: 1.0,
                    mean: 0.5,
                    stddev: 0.5,
                    valid_percent: 99.0,
                }),
            }],
            classes: vec![
                ClassRecord { value: 0, name: "winter wheat".into(), color: Some("aabbcc".into()), nodata: false },
                ClassRecord { value: 255, name: "no data".into(), color: None, nodata: true },
            ],
        }],
        derived_from: vec![
            "https://u:p@h/b.json?sig=geheim".into(),
            "https://h/a.json".into(),
            "https://h/a.json".into(),
        ],
        lineage: "offset 0: stated; read from https://h/x.tif?sig=geheim".into(),
        software: BTreeMap::from([("skysense".into(), "0.1.0".into())]),
        workflow_sha256: "ab".repeat(32),
        model: Some(ModelRecord {
            name: "tiny".into(),
            href: "https://h/model/mlm.json".into(),
            architecture: "SkySense".into(),
            tasks: vec!["semantic-segmentation".into()],
            weights_sha256: "cd".repeat(32),
            licence: "Apache-2.0".into(),
        }),
        properties: Map::new(),
    }
}

/// Publishes records of these ids, changed.
fn put_changed(
    folder: &Path,
    ids: &[&str],
    exists: Exists,
    change: impl Fn(&mut ItemRecord),
) -> Result<Published, CatalogError> {
    let target = Target::new(folder, "crop-map", exists)?;
    target.check(ids)?;
    let publishing = Publishing::begin(target)?;
    let mut records: Vec<_> = ids.iter().map(|id| record(&publishing, id)).collect();
    records.iter_mut().for_each(change);
    publishing.finish(&about(), &records)
}

fn put(folder: &Path, ids: &[&str], exists: Exists) -> Result<Published, CatalogError> {
    put_changed(folder, ids, exists, |_| {})
}

/// Names of all files and folders below a folder.
fn all_names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            names.extend(all_names(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        }
        names.push(name);
    }
    names.sort();
    names
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn an_item_says_where_it_comes_from_and_nothing_secret() {
    let folder = tempfile::tempdir().unwrap();
    let published = put(folder.path(), &["map-2021"], Exists::Fail).unwrap();
    let text = std::fs::read_to_string(&published.items[0]).unwrap();
    assert!(!text.contains("geheim") && !text.contains("u:p@"), "{text}");
    let item = read(&published.items[0]);
    let sources: Vec<&str> = item["links"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|link| link["rel"] == "derived_from")
        .map(|link| link["href"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["https://h/a.json", "https://h/b.json", "https://h/model/mlm.json"]);
    let asset = &item["assets"]["classes"];
    assert_eq!(
        (asset["href"].as_str(), asset["file:size"].as_u64(), asset["proj:code"].as_str()),
        (Some("./classes.tif"), Some(6), Some("EPSG:32633"))
    );
    assert!(asset["file:checksum"].as_str().unwrap().starts_with("1220"));
    assert_eq!(asset["proj:shape"], json!([32, 64]));
    assert_eq!(asset["bands"][0]["nodata"], json!(255));
    assert_eq!(
        asset["classification:classes"][0],
        json!({"value": 0, "name": "winter_wheat", "title": "winter wheat", "color_hint": "AABBCC"})
    );
    assert_eq!(item["properties"]["datetime"], Value::Null);
    assert_eq!(item["properties"]["skysense:workflow_sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn what_is_published_is_what_our_search_reads() {
    let folder = tempfile::tempdir().unwrap();
    let published = put(folder.path(), &["map-2021"], Exists::Fail).unwrap();
    let outcome = search(&SearchRequest::new(published.collection.to_str().unwrap()), &|| false).unwrap();
    assert_eq!((outcome.items.len(), outcome.skipped.len()), (1, 0));
    let asset = outcome.items[0].assets().remove(0);
    assert_eq!(asset.claimed.unwrap().resolution(), (10.0, 10.0));
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let texts = [first.path(), second.path()].map(|folder| {
        let published = put(folder, &["b", "a"], Exists::Fail).unwrap();
        let all = published.items.iter().chain([&published.collection]);
        all.map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn exists_fails_replaces_and_appends() {
    let folder = tempfile::tempdir().unwrap();
    let put = |id: &str, exists: Exists| put(folder.path(), &[id], exists);
    let listed = || {
        let collection = read(&folder.path().join("collection.json"));
        collection["links"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|link| link["rel"] == "item")
            .map(|link| link["href"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    put("a", Exists::Fail).unwrap();
    assert!(matches!(put("b", Exists::Fail), Err(CatalogError::Exists { .. })));
    put("b", Exists::Append).unwrap();
    assert_eq!(listed(), ["./a/a.json", "./b/b.json"]);
    assert!(matches!(put("b", Exists::Append), Err(CatalogError::Exists { .. })));
    std::fs::write(folder.path().join("b/notes.txt"), "somebody's own").unwrap();
    put("c", Exists::Replace).unwrap();
    assert_eq!(listed(), ["./c/c.json"]);
    // What the old items wrote is gone, what somebody else put beside it stays.
    assert_eq!(all_names(folder.path()), ["b", "b/notes.txt", "c", "c/c.json", "c/classes.tif", "collection.json"]);
}

#[test]
fn what_somebody_else_made_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    // A collection of another id, though ours.
    put(folder.path(), &["a"], Exists::Fail).unwrap();
    let before = all_names(folder.path());
    for exists in [Exists::Replace, Exists::Append] {
        let other = Target::new(folder.path(), "other-map", exists).unwrap();
        let error = other.check(&["b"]).unwrap_err().to_string();
        assert!(error.contains("\"crop-map\", not \"other-map\""), "{error}");
    }
    // A collection of the same id whose items no workflow made.
    let item = folder.path().join("a/a.json");
    let made = std::fs::read_to_string(&item).unwrap();
    std::fs::write(&item, made.replace("skysense:workflow_sha256", "other:hash")).unwrap();
    let error = put(folder.path(), &["b"], Exists::Replace).unwrap_err();
    assert!(matches!(&error, CatalogError::Foreign { path, .. } if *path == item), "{error}");
    // A folder where an item should go.
    std::fs::create_dir(folder.path().join("b")).unwrap();
    std::fs::write(folder.path().join("b/notes.txt"), "somebody's own").unwrap();
    let error = put(folder.path(), &["b"], Exists::Append).unwrap_err();
    assert!(matches!(error, CatalogError::Foreign { .. }), "{error}");
    std::fs::remove_dir_all(folder.path().join("b")).unwrap();
    assert_eq!(all_names(folder.path()), before);
    // A file that somebody put beside an item of ours outlives the item.
    std::fs::write(&item, made).unwrap();
    std::fs::write(folder.path().join("a/notes.txt"), "somebody's own").unwrap();
    put(folder.path(), &["a"], Exists::Replace).unwrap();
    assert!(folder.path().join("a/notes.txt").is_file());
}

#[test]
fn a_run_that_was_slower_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |exists| {
        let target = Target::new(folder.path(), "crop-map", exists).unwrap();
        target.check(&["a"]).unwrap();
        Publishing::begin(target).unwrap()
    };
    let (first, second) = (begin(Exists::Fail), begin(Exists::Fail));
    let records = [&first, &second].map(|publishing| [record(publishing, "a")]);
    first.finish(&about(), &records[0]).unwrap();
    let before = std::fs::metadata(folder.path().join("a/a.json")).unwrap().modified().unwrap();
    assert!(matches!(second.finish(&about(), &records[1]), Err(CatalogError::Exists { .. })));
    assert_eq!(std::fs::metadata(folder.path().join("a/a.json")).unwrap().modified().unwrap(), before);
    assert_eq!(all_names(folder.path()), ["a", "a/a.json", "a/classes.tif", "collection.json"]);
    // Two that append both stand in the collection.
    let append = |id: &str| {
        let target = Target::new(folder.path(), "crop-map", Exists::Append).unwrap();
        let publishing = Publishing::begin(target).unwrap();
        let records = [record(&publishing, id)];
        (publishing, records)
    };
    for (publishing, records) in [append("b"), append("c")] {
        publishing.finish(&about(), &records).unwrap();
    }
    let collection = std::fs::read_to_string(folder.path().join("collection.json")).unwrap();
    assert!(["a", "b", "c"].iter().all(|id| collection.contains(&format!("./{id}/{id}.json"))), "{collection}");
}

#[test]
fn a_run_that_goes_on_replaces_its_own_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &["a"], Exists::Fail).unwrap();
    for exists in [Exists::Fail, Exists::Append] {
        let target = Target::new(folder.path(), "crop-map", exists).unwrap();
        target.clone().resumed(&"ab".repeat(32)).check(&["a"]).unwrap();
        let of_another = target.resumed(&"ef".repeat(32)).check(&["a"]);
        assert!(matches!(of_another, Err(CatalogError::Exists { .. })), "{of_another:?}");
    }
}

#[test]
fn records_that_make_no_sense_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::write(folder.path().join("outside.tif"), "x").unwrap();
    let outside = folder.path().join("outside.tif");
    let wrong: [(&str, &dyn Fn(&mut ItemRecord)); 6] = [
        ("outside of the item's folder", &|record| record.assets[0].file = outside.clone()),
        ("none.tif", &|record| record.assets[0].file = record.assets[0].file.with_file_name("none.tif")),
        ("before it starts", &|record| record.interval = (record.interval.1, record.interval.0)),
        ("file name", &|record| record.id = "../x".into()),
        ("no file", &|record| record.assets.clear()),
        ("no GeoJSON", &|record| record.geometry = json!(null)),
    ];
    for (told, change) in wrong {
        let error = put_changed(&out, &["a"], Exists::Fail, change).unwrap_err().to_string();
        assert!(error.contains(told), "{told}: {error}");
        assert!(!out.exists(), "{told}");
    }
}

#[test]
fn a_failure_puts_back_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &["a", "b"], Exists::Fail).unwrap();
    let before = all_names(folder.path());
    // The second of two records is wrong: the first one, already described, must not take its place.
    let spoil = |record: &mut ItemRecord| {
        std::fs::write(&record.assets[0].file, "other pixels").unwrap();
        if record.id == "b" {
            record.assets.clear();
        }
    };
    put_changed(folder.path(), &["a", "b"], Exists::Replace, spoil).unwrap_err();
    assert_eq!(all_names(folder.path()), before);
    assert_eq!(std::fs::read_to_string(folder.path().join("a/classes.tif")).unwrap(), "pixels");
}

#[test]
fn a_collection_says_what_its_items_have_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let published = put(folder.path(), &["a"], Exists::Fail).unwrap();
    let collection = read(&published.collection);
    assert_eq!(collection["summaries"]["proj:code"], json!(["EPSG:32633"]));
    let classes = &collection["item_assets"]["classes"];
    assert_eq!(classes["classification:classes"][0]["title"], "winter wheat");
    assert_eq!(classes["bands"], json!([{"name": "class", "data_type": "uint8", "nodata": 255}]));
    assert!(classes.get("href").is_none() && classes.get("file:size").is_none());
    // Items with other classes join: only what still holds for all is said.
    put_changed(folder.path(), &["b"], Exists::Append, |record| record.assets[0].classes.truncate(1)).unwrap();
    let classes = &read(&published.collection)["item_assets"]["classes"];
    assert!(classes.get("classification:classes").is_none() && classes["type"].is_string(), "{classes}");
}

#[test]
fn the_model_is_named_where_the_extension_says() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("model/mlm.json");
    std::fs::create_dir(record.parent().unwrap()).unwrap();
    std::fs::write(&record, "{}").unwrap();
    let out = folder.path().join("out");
    let local = |item: &mut ItemRecord| item.model.as_mut().unwrap().href = record.display().to_string();
    let published = put_changed(&out, &["map"], Exists::Fail, local).unwrap();
    let item = read(&published.items[0]);
    let links = item["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["mlm:name"] == "tiny").unwrap();
    assert_eq!((&link["rel"], &link["href"]), (&json!("derived_from"), &json!("../../model/mlm.json")));
    assert_eq!(link["file:size"], 2);
    let sum = skysense_catalog::checksum(&record).unwrap().1;
    assert_eq!(link["file:checksum"], json!(sum));
    let asset = &item["assets"]["classes"];
    assert_eq!(asset["mlm:name"], "tiny");
    assert_eq!(asset["processing:expression"], json!({"format": "stac-mlm", "expression": "../../model/mlm.json"}));
}

#[test]
fn sources_of_this_machine_are_named_relative_to_the_item() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/a.json"), "{}").unwrap();
    let out = folder.path().join("out");
    let source = folder.path().join("in/a.json").to_str().unwrap().to_owned();
    let local = |record: &mut ItemRecord| record.derived_from = vec![source.clone()];
    let published = put_changed(&out, &["map"], Exists::Fail, local).unwrap();
    assert_eq!(read(&published.items[0])["links"][3]["href"], "../../in/a.json");
}
