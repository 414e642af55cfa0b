//! The other forms in which data sets are published, each on a made-up copy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod copies;
mod reading;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use skysense_layouts::{Adopted, adopt};

use copies::variants;
use reading::{adopted_of, counted, item, pixels, refused};

fn classes(found: &Adopted, collection: &str, id: &str) -> BTreeMap<u8, usize> {
    counted(&pixels(found, collection, id, "labels", 1).1)
}

fn contains(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "no {part:?} in {text}"));
}

#[test]
fn masks_of_potsdam_that_were_encoded_with_loss_have_the_nearest_colours() {
    let masks = |data: &Path, [one, other]: [&[[u8; 3]]; 2]| {
        copies::potsdam(data);
        copies::colours(&data.join("5_Labels_all/top_potsdam_2_10_label.tif"), [600, 600], one);
        copies::colours(&data.join("5_Labels_all/top_potsdam_7_13_label.tif"), [600, 600], other);
    };
    let (lossy, cars) = ([[225, 227, 227], [9, 30, 222], [222, 127, 9]], [[252, 255, 0], [128, 128, 128]]);
    let (_folder, found) = adopted_of("potsdam", |data| masks(data, [&lossy, &cars]));
    let stripe = 600 * 300 / 3;
    assert_eq!(
        classes(&found, "potsdam-labels", "potsdam-2_10"),
        BTreeMap::from([(1, 600 * 300 + stripe), (2, stripe), (6, stripe)])
    );
    assert_eq!(classes(&found, "potsdam-labels", "potsdam-7_13"), BTreeMap::from([(1, 90_000), (5, 270_000)]));
    for (colour, told) in
        [([200, 10, 180], "[200.0, 10.0, 180.0] at column 0, row 0"), ([0, 0, 90], "[0.0, 0.0, 90.0]")]
    {
        let error = refused("potsdam", |data| masks(data, [&[colour], &cars]));
        contains(&error, &["top_potsdam_2_10_label.tif", "the values of 6 classes", told]);
    }
}

#[test]
fn masks_of_potsdam_without_boundaries_and_beside_images_of_four_bands() {
    let (_folder, found) = adopted_of("potsdam", variants::potsdam_without_boundaries);
    assert_eq!(
        classes(&found, "potsdam-labels", "potsdam-2_10"),
        BTreeMap::from([(0, 60_000), (1, 240_000), (6, 60_000)]),
        "black is not labelled"
    );
    assert_eq!(
        (json!(found.splits), &found.sensors["potsdam"]),
        (json!({"train": 1, "test": 1}), &"hr-rgb".to_owned())
    );

    let (_folder, found) = adopted_of("potsdam", variants::potsdam_beside);
    assert_eq!(classes(&found, "potsdam-labels", "potsdam-7_13"), BTreeMap::from([(1, 3072), (4, 1024)]));
    assert_eq!(found.sensors["potsdam"], "hr-rgbn");
    let bands = item(&found, "potsdam", "potsdam-2_10")["assets"]["image"]["bands"].clone();
    assert_eq!(bands, json!([{"name": "red"}, {"name": "green"}, {"name": "blue"}, {"name": "nir"}]));
    let error = refused("potsdam", |data| {
        variants::potsdam_beside(data);
        fs::remove_file(data.join("top_potsdam_2_10_label.tif")).unwrap();
    });
    contains(&error, &["top_potsdam_2_10_label.tif: expected a file, found nothing"]);
    let error = refused("potsdam", |data| {
        copies::potsdam(data);
        fs::remove_dir_all(data.join("5_Labels_all")).unwrap();
    });
    contains(&error, &["5_Labels_all/ or 5_Labels_for_participants/ or 5_Labels_all_noBoundary/", "found 2_Ortho_RGB"]);
}

#[test]
fn archives_of_dynamicearthnet_are_read_as_they_unpack_and_samples_that_are_not_whole_are_told() {
    let (_folder, found) = adopted_of("dynamicearthnet-planet", variants::dynamicearthnet_archives);
    assert_eq!(json!(found.splits), json!({"train": 1, "test": 1}));
    assert_eq!(json!(found.left_out), json!({"no planet": ["1417_3281_13_11N-2018-01"]}));
    contains(&found.notes.join("\n"), &["samples of which a part is missing were left out: 1 for no planet"]);
    for id in ["5111_4560_13_38S-2018-01", "2459_4406_13_19S-2018-01"] {
        assert_eq!(classes(&found, "dynamicearthnet-planet-labels", id).len(), 7);
        let (_, blue) = pixels(&found, "dynamicearthnet-planet-planet", id, "image", 1);
        assert!(blue.iter().all(|value| (300.0..556.0).contains(value)), "{id}");
    }

    let (_folder, found) = adopted_of("dynamicearthnet-s2", variants::dynamicearthnet_archives);
    assert_eq!((json!(found.splits), found.left_out.len()), (json!({"train": 1, "val": 1, "test": 1}), 0));
    for (id, file) in [
        ("5111_4560_13_38S", "5111_4560_13/5111_4560_13_38S_2018_01.tif"),
        ("1417_3281_13_11N", "1417_3281_13_11N/2018-01-01.tif"),
    ] {
        let item = item(&found, "dynamicearthnet-s2-s2", &format!("{id}-2018-01"));
        assert!(item["assets"]["image"]["href"].as_str().unwrap().ends_with(file), "{item}");
    }

    let (_folder, found) = adopted_of("dynamicearthnet-mm", variants::dynamicearthnet_archives);
    let left = json!({"no planet": ["1417_3281_13_11N-2018-01"], "no sentinel1": ["2459_4406_13_19S-2018-01"]});
    assert_eq!((json!(found.left_out), json!(found.splits)), (left, json!({"train": 3})));
    contains(&found.notes.join("\n"), &["1 for no planet; 1 for no sentinel1"]);
}

#[test]
fn the_table_of_torchgeo_has_the_paths_of_all_parts() {
    let (_folder, found) = adopted_of("dynamicearthnet-mm", variants::dynamicearthnet_table);
    assert_eq!(json!(found.splits), json!({"train": 3, "test": 3}));
    assert_eq!(json!(found.left_out), json!({"no sentinel2": ["10N-1W-40N-2018-01"]}));
    let optical = item(&found, "dynamicearthnet-mm-s2", "10N-2W-40N-2018-01");
    assert!(optical["assets"]["image"]["href"].as_str().unwrap().ends_with("10N-2W-40N/other-name.tif"), "{optical}");
}

#[test]
fn bands_of_sentinel_1_are_taken_by_their_names_or_where_there_are_two() {
    let radar = |data: &Path, bands: &[&str]| {
        copies::dynamicearthnet(data);
        for at in 0..3 {
            let path = data.join(format!("sentinel1/10N-{at}W-40N/2018_01_03.tif"));
            copies::named(&path, (40, 10.0, 100_000.0 * f64::from(at)), bands, |band, _| -10.0 - band as f32);
        }
    };
    let (_folder, found) = adopted_of("dynamicearthnet-mm", |data| radar(data, &["angle", "vh", "vv"]));
    let bands = item(&found, "dynamicearthnet-mm-s1", "10N-0W-40N-2018-01")["assets"]["image"]["bands"].clone();
    assert_eq!(bands, json!([{"name": "ANGLE"}, {"name": "VH"}, {"name": "VV"}]));
    let eight: Vec<String> = (1..=8).map(|band| format!("c{band}")).collect();
    let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
    let error = refused("dynamicearthnet-mm", |data| radar(data, &eight));
    contains(&error, &["2018_01_03.tif", "two bands, VV and VH", "gdal_translate -b", "8 bands called c1, c2"]);
}

#[test]
fn lists_of_bigearthnet_have_two_names_and_those_that_are_not_there_are_told() {
    let (_folder, found) = adopted_of("bigearthnet-mm", variants::bigearthnet_pairs);
    assert_eq!(json!(found.splits), json!({"train": 2, "test": 2}));
    contains(&found.notes.join("\n"), &["no list val.csv or bigearthnet-val.csv in "]);
    let (_folder, found) = adopted_of("bigearthnet-s2", |data| {
        variants::bigearthnet_pairs(data);
        fs::remove_file(data.join("bigearthnet-test.csv")).unwrap();
    });
    assert_eq!(json!(found.splits), json!({"train": 1}));
    contains(&found.notes.join("\n"), &["bigearthnet-test.csv", "1 of 2 patches are in none of the lists"]);
    let (_folder, found) = adopted_of("bigearthnet-s2", |data| {
        copies::bigearthnet(data);
        ["train.csv", "test.csv"].iter().for_each(|list| fs::remove_file(data.join(list)).unwrap());
    });
    assert_eq!((json!(found.splits), found.notes.len()), (json!({}), 1));
    contains(&found.notes[0], &["no list train.csv or bigearthnet-train.csv, val.csv or", "have no split"]);
}

#[test]
fn levir_cd_in_one_folder_has_its_parts_by_name() {
    let (_folder, found) = adopted_of("levir-cd", variants::levir_flat);
    assert_eq!(json!(found.splits), json!({"train": 4, "val": 2, "test": 2}));
    assert_eq!(item(&found, "levir-cd-after", "val_1")["properties"]["split"], "val");
    let error = refused("levir-cd", |data| {
        variants::levir_flat(data);
        copies::photo(&data.join("A/other_1.png"), 9, 9);
    });
    contains(&error, &["A/other_1.png", "begins with train, val or test"]);
    let error = refused("levir-cd", |data| fs::create_dir_all(data.join("images")).unwrap());
    contains(&error, &["a folder train/ or A/, found images"]);
}

#[test]
fn changes_of_oscd_are_rasters_or_pictures_in_folders_of_older_names_too() {
    let (_folder, found) = adopted_of("oscd", variants::oscd_older);
    assert_eq!(json!(found.splits), json!({"train": 2, "test": 2}));
    assert_eq!(classes(&found, "oscd-labels", "brasilia"), BTreeMap::from([(1, 960), (2, 960)]));
    let error = refused("oscd", |data| {
        variants::oscd_older(data);
        let changes = data.join("onera_satellite_change_detection dataset__test_labels/brasilia/cm");
        variants::moved(&changes, "cm.png", "map.png");
    });
    contains(&error, &["brasilia/cm", "brasilia-cm.tif or cm.png", "found map.png"]);
    let error = refused("oscd", |data| fs::create_dir_all(data.join("images")).unwrap());
    contains(&error, &["a folder Onera Satellite Change Detection dataset - Images/", "found images"]);
}

#[test]
fn masks_of_isaid_lie_beside_the_images_or_one_folder_deeper() {
    for form in [variants::isaid_beside, variants::isaid_unpacked] {
        let (_folder, found) = adopted_of("isaid", form);
        assert_eq!(json!(found.splits), json!({"train": 2, "val": 1, "test": 1}));
        let seen: Vec<u8> = classes(&found, "isaid-labels", "P0003").into_keys().collect();
        assert_eq!(seen, [1, 2, 16]);
    }
    let error = refused("isaid", |data| {
        variants::isaid_unpacked(data);
        fs::remove_file(data.join("val/Semantic_masks/images/images/P0003_instance_color_RGB.png")).unwrap();
    });
    contains(
        &error,
        &["val: expected P0003_instance_color_RGB.png in Semantic_masks/images/ or beside", "found nothing"],
    );
}

#[test]
fn dior_by_a_table_has_a_test_without_objects() {
    let (_folder, found) = adopted_of("dior", variants::dior_table);
    assert_eq!(json!(found.splits), json!({"train": 1, "val": 1, "test": 1}));
    assert_eq!(json!(found.collections), json!({"dior": 3, "dior-labels": 2}));
    let path = found.catalog.with_file_name("dior-labels").join("00002/00002.txt");
    assert_eq!(fs::read_to_string(path).unwrap(), "100 200 180 200 180 260 100 260 ship 0\n");
    let error = refused("dior", |data| {
        variants::dior_table(data);
        copies::text(&data.join("sample_df.csv"), "image_path,split\na,train\n");
    });
    contains(&error, &["sample_df.csv", "a column label_path", "image_path, split"]);
}

#[test]
fn tables_of_fmow_lie_beside_the_folders_or_in_the_folder_above() {
    let (_folder, found) = adopted_of("fmow-s2", variants::fmow_unpacked);
    assert_eq!(json!(found.splits), json!({"train": 1, "val": 1, "test": 1}));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    variants::fmow_unpacked(&data);
    let found = adopt("fmow-s2", &data.join("fmow-sentinel"), &folder.path().join("catalog"), &mut |_| true).unwrap();
    assert_eq!(found.collections["fmow-s2-labels"], 3);
    let error = refused("fmow-s2", |data| {
        variants::fmow_unpacked(data);
        fs::remove_file(data.join("val.csv")).unwrap();
    });
    contains(
        &error,
        &["data: expected val.csv in this folder or in the one above", "found fmow-sentinel, test_gt.csv"],
    );
}
