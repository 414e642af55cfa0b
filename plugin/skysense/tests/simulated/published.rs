//! What a run publishes: items and a collection that are valid STAC, and COGs that other software takes for such.

mod cogs;
mod schemas;

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::bench::{DATES_SEEN, SATELLITES, Way, items, predicted, read, scene, scratch, write};
use crate::harness::Bench;

/// A map with all outputs, and features in both types, each in a folder of its own.
struct Published {
    folder: PathBuf,
}

/// Written once: the tests here only look at it.
fn published() -> &'static Published {
    static PUBLISHED: OnceLock<Published> = OnceLock::new();
    PUBLISHED.get_or_init(Published::new)
}

impl Published {
    fn new() -> Self {
        let folder = scratch("published");
        let bench = Bench::new(2, scene());
        write(&bench, predicted(), &folder.join("map"), &json!({
            "outputs": ["class", "probability", "entropy"], "title": "Land cover", "description": "A test", "license": "CC-BY-4.0",
        }))
        .unwrap();
        let features = Way { apply: "skysense.embed", ..Way::of(scene()) }.run(&bench).unwrap();
        for dtype in ["float32", "int16"] {
            write(&bench, &features, &folder.join(dtype), &json!({"dtype": dtype})).unwrap();
        }
        Self { folder }
    }

    /// All items.
    fn items(&self) -> Vec<Value> {
        let of = |name: &str| read(&self.folder.join(name).join("land-cover-all/land-cover-all.json"));
        ["map", "float32", "int16"].map(of).to_vec()
    }

    /// All collections.
    fn collections(&self) -> Vec<Value> {
        ["map", "float32", "int16"].map(|name| read(&self.folder.join(name).join("collection.json"))).to_vec()
    }
}

fn links<'a>(item: &'a Value, rel: &str) -> Vec<&'a Value> {
    item["links"].as_array().unwrap().iter().filter(|link| link["rel"] == rel).collect()
}

#[test]
fn an_item_says_what_it_is_and_where_it_comes_from() {
    let published = published();
    let item = &published.items()[0];
    assert_eq!(
        (&item["type"], &item["stac_version"], &item["collection"]),
        (&json!("Feature"), &json!("1.1.0"), &json!("land-cover"))
    );
    let declared: Vec<&str> =
        item["stac_extensions"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    for name in ["projection/v2", "raster/v2", "classification/v2", "processing/v1", "file/v2"] {
        assert!(declared.iter().any(|url| url.contains(&format!("/{name}."))), "{name}: {declared:?}");
    }
    let properties = &item["properties"];
    // Where it lies: the grid of the scene, 64 px of 10 m in UTM zone 33.
    assert_eq!((&properties["proj:code"], &properties["proj:shape"]), (&json!("EPSG:32633"), &json!([64, 64])));
    let transform: Vec<f64> =
        properties["proj:transform"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!((transform.len(), transform[0], transform[4]), (6, 10.0, -10.0));
    // How it was made.
    for software in ["skysense", "gdal", "onnxruntime"] {
        assert!(properties["processing:software"][software].is_string(), "{software}");
    }
    assert_eq!(properties["skysense:workflow_sha256"], "5".repeat(64));
    let lineage = properties["processing:lineage"].as_str().unwrap();
    for part in ["chips of 16 px that overlap by 4 px", "sentinel-2-l2a", "B02 B03", "tiny-random"] {
        assert!(lineage.contains(part), "{part}: {lineage}");
    }
    // Every source item and the model.
    let sources = links(item, "derived_from");
    let model: Vec<_> = sources.iter().filter(|link| link["mlm:name"] == "tiny-random").collect();
    assert_eq!((sources.len(), model.len()), (2 * DATES_SEEN + 1, 1), "{sources:?}");
    assert!(model[0]["href"].as_str().unwrap().ends_with("/mlm.json") && model[0]["file:checksum"].is_string());
    let expected: Vec<String> = SATELLITES
        .iter()
        .flat_map(|collection| items(scene(), collection))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    for name in expected {
        assert!(sources.iter().any(|link| link["href"].as_str().unwrap().ends_with(&name)), "{name}: {sources:?}");
    }
    for link in item["links"].as_array().unwrap() {
        let href = link["href"].as_str().unwrap();
        let place = published.folder.join("map/land-cover-all").join(href);
        assert!(place.is_file(), "{} leads to a file: {href}", link["rel"]);
    }
}

#[test]
fn each_asset_says_what_it_holds() {
    let published = published();
    let item = &published.items()[0];
    let assets = item["assets"].as_object().unwrap();
    assert_eq!(assets.keys().collect::<Vec<_>>(), ["class", "probability", "entropy"]);
    for (key, asset) in assets {
        let file = published.folder.join("map/land-cover-all").join(asset["href"].as_str().unwrap());
        let (size, sum) = skysense_catalog::checksum(&file).unwrap();
        assert_eq!((&asset["file:size"], &asset["file:checksum"]), (&json!(size), &json!(sum)), "{key}");
        assert_eq!(asset["type"], "image/tiff; application=geotiff; profile=cloud-optimized");
        assert_eq!(asset["mlm:name"], "tiny-random");
        for band in asset["bands"].as_array().unwrap() {
            assert_eq!((&band["data_type"], &band["nodata"]), (&json!("uint8"), &json!(255)), "{key}");
            assert_eq!(band["statistics"]["valid_percent"].as_f64(), Some(100.0), "{key}: {band}");
        }
    }
    let classes = assets["class"]["classification:classes"].as_array().unwrap();
    let expected = [(1, "class_1", "808080"), (2, "class_2", "808080"), (3, "class_3", "808080")];
    for (class, (value, name, color)) in classes.iter().zip(expected) {
        assert_eq!(
            (&class["value"], &class["name"], &class["color_hint"]),
            (&json!(value), &json!(name), &json!(color))
        );
    }
    assert_eq!((classes.len(), &classes[3]["nodata"], &classes[3]["value"]), (4, &json!(true), &json!(255)));
    // Probabilities in 250 steps: three bands, scale 1/250.
    let bands = assets["probability"]["bands"].as_array().unwrap();
    assert_eq!(bands.len(), 3);
    for band in bands {
        assert!((band["raster:scale"].as_f64().unwrap() - 1.0 / 250.0).abs() < 1e-9, "{band}");
        assert_eq!(band["raster:offset"].as_f64(), Some(0.0));
    }
    let features = published.items();
    let nodata = |at: usize| features[at]["assets"]["features"]["bands"][0]["nodata"].clone();
    assert_eq!((nodata(1), nodata(2)), (json!("nan"), json!(-32768)));
}

#[test]
fn the_collection_covers_its_items() {
    let published = published();
    let (item, collection) = (&published.items()[0], &published.collections()[0]);
    assert_eq!(
        (&collection["id"], &collection["license"], &collection["title"]),
        (&json!("land-cover"), &json!("CC-BY-4.0"), &json!("Land cover"))
    );
    assert_eq!(collection["extent"]["spatial"]["bbox"][0], item["bbox"]);
    let interval = &collection["extent"]["temporal"]["interval"][0];
    assert_eq!(
        (&interval[0], &interval[1]),
        (&item["properties"]["start_datetime"], &item["properties"]["end_datetime"])
    );
    assert_eq!(links(collection, "item").len(), 1);
    assert_eq!(
        collection["item_assets"]["class"]["classification:classes"],
        item["assets"]["class"]["classification:classes"]
    );
    assert_eq!(collection["summaries"]["proj:code"], json!(["EPSG:32633"]));
}

#[test]
fn what_was_published_is_found_by_our_own_search() {
    let published = published();
    let bench = Bench::new(1, &published.folder);
    let found = crate::harness::good(bench.plan("stac.search", json!({"href": "map/collection.json"}), &[]));
    assert_eq!(found.plan.facts["items"], 1);
}
