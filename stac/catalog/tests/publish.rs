//! Results as items and a collection: whole, the same every time, and readable by our own search.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use skysense_catalog::{
    AssetRecord, BandRecord, Bbox, CatalogError, ClassRecord, CollectionRecord, DataType, Exists, ItemRecord,
    ModelRecord, SearchRequest, Statistics, footprint, item_path, parse_datetime, publish, search,
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

fn record(folder: &Path, id: &str) -> ItemRecord {
    let file = item_path(folder, id).unwrap().with_file_name("classes.tif");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
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

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn an_item_says_where_it_comes_from_and_nothing_secret() {
    let folder = tempfile::tempdir().unwrap();
    let published = publish(folder.path(), &about(), &[record(folder.path(), "map-2021")], Exists::Fail).unwrap();
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
    let published = publish(folder.path(), &about(), &[record(folder.path(), "map-2021")], Exists::Fail).unwrap();
    let outcome = search(&SearchRequest::new(published.collection.to_str().unwrap()), &|| false).unwrap();
    assert_eq!((outcome.items.len(), outcome.skipped.len()), (1, 0));
    let asset = outcome.items[0].assets().remove(0);
    assert_eq!(asset.claimed.unwrap().resolution(), (10.0, 10.0));
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let texts = [first.path(), second.path()].map(|folder| {
        let published = publish(folder, &about(), &[record(folder, "b"), record(folder, "a")], Exists::Fail).unwrap();
        let all = published.items.iter().chain([&published.collection]);
        all.map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn exists_fails_replaces_and_appends() {
    let folder = tempfile::tempdir().unwrap();
    let put = |id: &str, exists: Exists| publish(folder.path(), &about(), &[record(folder.path(), id)], exists);
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
    put("c", Exists::Replace).unwrap();
    assert_eq!(listed(), ["./c/c.json"]);
    assert!(!folder.path().join("a/a.json").exists());
}

#[test]
fn records_that_make_no_sense_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = record(folder.path(), "a");
    let outside = folder.path().join("outside.tif");
    std::fs::write(&outside, "x").unwrap();
    let mut far = good.clone();
    far.assets[0].file = outside;
    let mut absent = good.clone();
    absent.assets[0].file = folder.path().join("a/none.tif");
    let mut backwards = good.clone();
    backwards.interval = (good.interval.1, good.interval.0);
    for wrong in [
        far,
        absent,
        backwards,
        ItemRecord { id: "../x".into(), ..good.clone() },
        ItemRecord { assets: vec![], ..good.clone() },
        ItemRecord { geometry: json!(null), ..good },
    ] {
        assert!(publish(folder.path(), &about(), std::slice::from_ref(&wrong), Exists::Fail).is_err(), "{}", wrong.id);
        assert!(!folder.path().join("collection.json").exists() && !folder.path().join("a/a.json").exists());
    }
}

#[test]
fn sources_of_this_machine_are_named_relative_to_the_item() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/a.json"), "{}").unwrap();
    let out = folder.path().join("out");
    let mut record = record(&out, "map");
    record.derived_from = vec![folder.path().join("in/a.json").to_str().unwrap().to_owned()];
    let published = publish(&out, &about(), &[record], Exists::Fail).unwrap();
    assert_eq!(read(&published.items[0])["links"][3]["href"], "../../in/a.json");
}
