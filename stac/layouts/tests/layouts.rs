//! Each layout on a made-up copy: items, splits, places, classes of pixels, and what is told of a folder that is not so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod copies;
mod reading;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use skysense_layouts::{LAYOUTS, LayoutError, adopt};

use reading::{adopted, claimed, counted, item, pixels, refused};

#[test]
fn every_layout_becomes_a_catalog_whose_files_are_all_there_at_places_of_their_own() {
    for layout in LAYOUTS {
        let (_folder, found) = adopted(layout.name);
        assert!(!found.collections.is_empty() && !found.sensors.is_empty(), "{}", layout.name);
        let mut places: BTreeMap<String, Vec<([f64; 4], String)>> = BTreeMap::new();
        for (collection, count) in &found.collections {
            let folder = found.catalog.with_file_name(collection);
            let listed: Value = serde_json::from_slice(&fs::read(folder.join("collection.json")).unwrap()).unwrap();
            let links: Vec<&Value> =
                listed["links"].as_array().unwrap().iter().filter(|link| link["rel"] == "item").collect();
            assert_eq!(links.len(), *count, "{} {collection}", layout.name);
            for link in links {
                let path = folder.join(link["href"].as_str().unwrap());
                let item: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                assert!(item["properties"]["datetime"].as_str().unwrap().ends_with('Z'));
                assert_eq!(item["bbox"].as_array().unwrap().len(), 4);
                for (key, asset) in item["assets"].as_object().unwrap() {
                    let href = path.parent().unwrap().join(asset["href"].as_str().unwrap());
                    assert!(href.is_file(), "{} {key}: {}", layout.name, href.display());
                    if asset.get("proj:code").is_some() && !collection.ends_with("labels") {
                        let place = (claimed(asset).bounds(), item["id"].as_str().unwrap().to_owned());
                        places.entry(collection.clone()).or_default().push(place);
                    }
                }
            }
        }
        // Of one collection no two images of a date lie on each other; series of PASTIS name the patch first.
        for places in places.values() {
            let patch = |id: &str| id.split('-').next().unwrap().to_owned();
            for (at, (a, one)) in places.iter().enumerate() {
                for (b, other) in &places[..at] {
                    let apart = a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3];
                    assert!(apart || one == other || patch(one) == patch(other), "{}: {one} on {other}", layout.name);
                }
            }
        }
    }
}

#[test]
fn splits_are_those_of_the_lists_and_folders() {
    for (layout, expected) in [
        ("levir-cd", json!({"train": 4, "val": 2, "test": 2})),
        ("isaid", json!({"train": 2, "val": 1, "test": 1})),
        ("potsdam", json!({"train": 1, "test": 1})),
        ("dior", json!({"train": 1, "val": 1, "test": 1})),
        ("fair1m", json!({"train": 2, "val": 1, "test": 1})),
        ("oscd", json!({"train": 2, "test": 2})),
        ("bigearthnet-mm", json!({"train": 2, "test": 2})),
        ("fmow-s2", json!({"train": 1, "val": 1, "test": 1})),
        ("pastis", json!({"train": 5, "test": 5})),
        ("dynamicearthnet-mm", json!({"train": 3, "val": 3, "test": 3})),
        ("aid", json!({})),
    ] {
        assert_eq!(json!(adopted(layout).1.splits), expected, "{layout}");
    }
}

#[test]
fn classes_of_pixels_are_those_of_the_masks_one_higher() {
    let (_folder, found) = adopted("levir-cd");
    let (grid, labels) = pixels(&found, "levir-cd-labels", "train_1", "labels", 1);
    assert_eq!(counted(&labels), BTreeMap::from([(1, 512 * 1024), (2, 512 * 1024)]));
    let (before, image) = pixels(&found, "levir-cd-before", "train_1", "image", 2);
    let (after, _) = pixels(&found, "levir-cd-after", "train_1", "image", 1);
    assert!(before == grid && after == grid && image.iter().any(|value| *value > 100.0));
    // 1024 px of 0.3125 m are 32 of 10 m, the chip that the answer names.
    assert_eq!((grid.bounds()[2] - grid.bounds()[0], found.chip_size), (320.0, Some(32)));

    let (_folder, found) = adopted("isaid");
    let (_, labels) = pixels(&found, "isaid-labels", "P0000", "labels", 1);
    assert_eq!(counted(&labels).keys().copied().collect::<Vec<_>>(), [1, 2, 16]);
    assert!(!found.catalog.with_file_name("isaid-labels").join("P0006").exists(), "the test has no masks");

    let (_folder, found) = adopted("dynamicearthnet-planet");
    let (grid, labels) = pixels(&found, "dynamicearthnet-planet-labels", "10N-0W-40N-2018-01", "labels", 1);
    let counts = counted(&labels);
    assert_eq!((counts.len(), counts[&0]), (7, 128 * 128 / 7), "the seventh is not labelled: {counts:?}");
    assert_eq!(grid.crs, skysense_grid::Crs::epsg(32633), "what says where it lies stays there");

    let (_folder, found) = adopted("pastis");
    let (_, labels) = pixels(&found, "pastis-labels", "10000", "labels", 1);
    assert_eq!(counted(&labels)[&0], 128 * 128 / 20, "void is not labelled");
    let (_, image) = pixels(&found, "pastis-s2l2a", "10000-2019-06-01", "image", 2);
    assert_eq!(image[0], 500.0 + 31.0 + f32::from(image[0] as i16 - 531), "the fourth date, its second band");
    let (_, radar) = pixels(&found, "pastis-s1grd", "10000-S1A-2018-09-02", "image", 2);
    assert_eq!(radar[77], -11.0);
}

#[test]
fn scenes_have_their_class_and_patches_all_of_theirs() {
    let (_folder, found) = adopted("aid");
    let (grid, class) = pixels(&found, "aid-labels", "Class07-class07_2", "labels", 1);
    assert_eq!(
        (class, grid.width, grid.bounds()),
        (vec![8.0], 1, claimed(&item(&found, "aid", "Class07-class07_2")["assets"]["image"]).bounds())
    );
    let ranks: Vec<f64> = [1, 2]
        .map(|at| item(&found, "aid", &format!("Class07-class07_{at}"))["properties"]["rank"].as_f64().unwrap())
        .to_vec();
    assert_eq!(ranks.iter().sum::<f64>(), 0.5, "{ranks:?}");

    let (_folder, found) = adopted("bigearthnet-mm");
    let patch = "S2A_MSIL2A_20170818T112111_42_53";
    let (grid, classes) = pixels(&found, "bigearthnet-mm-labels", patch, "labels", 1);
    // Rice fields are arable land (3), pastures 5, water bodies inland waters (18); airports are none of the 19.
    assert_eq!((grid.width, classes), (3, vec![3.0, 5.0, 18.0]));
    let image = item(&found, "bigearthnet-mm-s2l2a", patch);
    assert_eq!(image["properties"]["skysense:from"]["proj:code"], "EPSG:32633");
    let (fine, values) = pixels(&found, "bigearthnet-mm-s2l2a", patch, "B02", 1);
    let (coarse, _) = pixels(&found, "bigearthnet-mm-s2l2a", patch, "B12", 1);
    assert_eq!((fine.bounds(), fine.width, coarse.width), (coarse.bounds(), 120, 60));
    assert!(values.iter().all(|value| *value >= 500.0));
    let (radar, decibel) = pixels(&found, "bigearthnet-mm-s1grd", "S1A_IW_GRDH_1SDV_20170810T0000_x", "VH", 1);
    assert!(radar.bounds() == fine.bounds() && decibel.iter().all(|value| (-12.0..-8.0).contains(value)));

    let (_folder, found) = adopted("fmow-s2");
    let (_, class) = pixels(&found, "fmow-s2-labels", "val-barn_1-100", "labels", 1);
    let (_, band) = pixels(&found, "fmow-s2", "val-barn_1-100", "image", 10);
    assert!(class == [2.0] && band.iter().all(|value| *value >= 2200.0), "B12 is the last of thirteen");
}

#[test]
fn objects_become_lines_of_corners() {
    for (layout, id, expected) in [
        ("dior", "00002", "100 200 180 200 180 260 100 260 ship 0\n"),
        ("dior-r", "11726", "100 200 160 220 150 250 90 230 ship 0\n"),
        ("fair1m", "part2-0", "100 200 160 220 150 250 90 230 Dry-Cargo-Ship 0\n"),
    ] {
        let (_folder, found) = adopted(layout);
        let labels = format!("{layout}-labels");
        assert_eq!(item(&found, &labels, id)["assets"]["objects"]["href"], format!("./{id}.txt"));
        let path = found.catalog.with_file_name(labels).join(id).join(format!("{id}.txt"));
        assert_eq!(fs::read_to_string(path).unwrap(), expected, "{layout}");
    }
}

/// What is told of a copy that was spoiled.
fn told(layout: &str, spoil: impl Fn(&Path)) -> String {
    refused(layout, |data| {
        copies::copy(layout, data);
        spoil(data);
    })
}

#[test]
fn what_is_not_as_the_layout_says_is_told_with_file_expectation_and_find() {
    let gone = |name: &'static str| move |data: &Path| fs::remove_dir_all(data.join(name)).unwrap();
    let lost = |name: &'static str| move |data: &Path| fs::remove_file(data.join(name)).unwrap();
    let check = |found: String, parts: &[&str]| parts.iter().for_each(|part| assert!(found.contains(part), "{found}"));
    check(told("levir-cd", gone("val")), &["expected a folder val/", "found test, train"]);
    check(
        told("levir-cd", lost("test/label/test_1.png")),
        &["test/label/test_1.png", "expected a file, found nothing"],
    );
    let other = |data: &Path| copies::halves(&data.join("train/label/train_2.png"), [1024, 1024], [0, 7]);
    check(told("levir-cd", other), &["train_2.png", "values of 2 classes", "[7.0] at column 0, row 512"]);
    let small = |data: &Path| copies::photo(&data.join("train/B/train_1.png"), 1000, 1024);
    check(told("levir-cd", small), &["train/B/train_1.png", "1024 × 1024", "1000 × 1024"]);
    check(
        told("isaid", |data| {
            copies::colours(
                &data.join("val/Semantic_masks/images/P0003_instance_color_RGB.png"),
                [600, 560],
                &[[1, 2, 3]],
            )
        }),
        &["P0003", "[1.0, 2.0, 3.0]"],
    );
    check(
        told("dior", |data| {
            copies::text(
                &data.join("Annotations/Horizontal Bounding Boxes/00001.xml"),
                "<annotation><object><name>a</name><bndbox><xmin>x</xmin></bndbox></object></annotation>",
            )
        }),
        &["00001.xml", "a number in <xmin>", "\"x\""],
    );
    check(
        told("fair1m", |data| copies::text(&data.join("train/part1/labelXml/0.xml"), "<html/>")),
        &["0.xml", "<annotation>"],
    );
    check(told("aid", gone("Class03")), &["30 folders", "29"]);
    check(
        told("oscd", |data| {
            copies::text(&data.join("Onera Satellite Change Detection dataset - Images/aguasclaras/dates.txt"), "soon")
        }),
        &["dates.txt", "YYYYMMDD", "soon"],
    );
    check(
        told("fmow-s2", |data| copies::text(&data.join("val.csv"), "category,image_id\nbarn,1\n")),
        &["val.csv", "a column location_id"],
    );
    check(told("pastis", lost("DATA_S2/S2_10001.npy")), &["S2_10001.npy", "found nothing"]);
    check(
        told("bigearthnet-mm", |data| {
            copies::text(&data.join("BigEarthNet-S1-v1.0/S1A_IW_GRDH_1SDV_20170810T0000_x/S1A_IW_GRDH_1SDV_20170810T0000_x_labels_metadata.json"), "{\"corresponding_s2_patch\": \"none\"}")
        }),
        &["a patch none"],
    );
    check(
        told("dynamicearthnet-s2", gone("sentinel2")),
        &["expected a folder sentinel2/", "found dynnet_training_splits"],
    );
    let empty = |data: &Path| {
        fs::remove_dir_all(data.join("sentinel2")).unwrap();
        fs::create_dir(data.join("sentinel2")).unwrap();
    };
    check(
        told("dynamicearthnet-s2", empty),
        &["at least one sample with all its parts", "left out: 3 for no sentinel2"],
    );
    check(
        told("potsdam", |data| copies::photo(&data.join("2_Ortho_RGB/other.tif"), 9, 9)),
        &["other.tif", "top_potsdam_2_10_RGB.tif"],
    );
}

#[test]
fn layouts_places_and_cancelling() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("catalog"));
    copies::levir(&data);
    let unknown = adopt("levir", &data, &out, &mut |_| true).unwrap_err().to_string();
    assert!(unknown.contains("\"levir\"") && unknown.contains("levir-cd, oscd"), "{unknown}");
    let ended = adopt("levir-cd", &data, &out, &mut |items| items < 2);
    assert!(matches!(ended, Err(LayoutError::Cancelled { items: 2 })), "{ended:?}");
    assert!(!out.exists());
    fs::create_dir(&out).unwrap();
    adopt("levir-cd", &data, &out, &mut |_| true).unwrap();
    let twice = adopt("levir-cd", &data, &out, &mut |_| true).unwrap_err();
    assert!(matches!(twice, LayoutError::Exists(_)), "{twice}");
    let nowhere = adopt("levir-cd", &folder.path().join("none"), &out, &mut |_| true).unwrap_err().to_string();
    assert!(nowhere.contains("expected the folder of the data set, found nothing"), "{nowhere}");
}
