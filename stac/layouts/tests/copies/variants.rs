//! Other forms in which the data sets are published, mostly made of the first ones by moving files.

use std::fs;
use std::path::Path;

use super::{
    bigearthnet, colours, dior, dynamicearthnet, fmow, halves, isaid, levir, noise, oscd, placed, potsdam, text,
};

/// Moves a file or a folder inside of the data set.
pub(crate) fn moved(folder: &Path, from: &str, to: &str) {
    fs::create_dir_all(folder.join(to).parent().unwrap()).unwrap();
    fs::rename(folder.join(from), folder.join(to)).unwrap_or_else(|error| panic!("{from}: {error}"));
}

/// Masks without the rims of objects.
pub(crate) fn potsdam_without_boundaries(folder: &Path) {
    potsdam(folder);
    for tile in ["2_10", "7_13"] {
        moved(
            folder,
            &format!("5_Labels_all/top_potsdam_{tile}_label.tif"),
            &format!("5_Labels_all_noBoundary/top_potsdam_{tile}_label_noBoundary.tif"),
        );
    }
    fs::remove_dir(folder.join("5_Labels_all")).unwrap();
    let rims = [[255, 255, 255], [0, 0, 0], [255, 0, 0]];
    colours(&folder.join("5_Labels_all_noBoundary/top_potsdam_2_10_label_noBoundary.tif"), [600, 600], &rims);
}

/// Four bands, and masks beside the folder, as the zips unpack in one place.
pub(crate) fn potsdam_beside(folder: &Path) {
    for (at, tile) in ["2_10", "7_13"].into_iter().enumerate() {
        let path = folder.join(format!("4_Ortho_RGBIR/top_potsdam_{tile}_RGBIR.tif"));
        placed(&path, 64, 0.05, 1000.0 * at as f64, 4, |band, pixel| noise((band * 7 + pixel) as u32));
        let mask = folder.join(format!("top_potsdam_{tile}_label.tif"));
        colours(&mask, [64, 64], &[[255, 255, 255], [0, 255, 0]]);
    }
}

/// All parts in one folder, told by the names of files.
pub(crate) fn levir_flat(folder: &Path) {
    levir(folder);
    for (part, count) in [("train", 2), ("val", 1), ("test", 1)] {
        for kind in ["A", "B", "label"] {
            for at in 1..=count {
                moved(folder, &format!("{part}/{kind}/{part}_{at}.png"), &format!("{kind}/{part}_{at}.png"));
            }
        }
        fs::remove_dir_all(folder.join(part)).unwrap();
    }
}

/// An older copy: other names of folders, changes as pictures alone, no lists of towns.
pub(crate) fn oscd_older(folder: &Path) {
    oscd(folder);
    for (part, town) in [("Train", "aguasclaras"), ("Test", "brasilia")] {
        let labels = format!("Onera Satellite Change Detection dataset - {part} Labels");
        let older = format!("onera_satellite_change_detection dataset__{}_labels", part.to_lowercase());
        moved(folder, &labels, &older);
        let changes = folder.join(&older).join(town).join("cm");
        fs::remove_file(changes.join(format!("{town}-cm.tif"))).unwrap();
        halves(&changes.join("cm.png"), [48, 40], [0, 255]);
    }
    let images = "onera_satellite_change_detection dataset__images";
    moved(folder, "Onera Satellite Change Detection dataset - Images", images);
    for list in ["train.txt", "test.txt"] {
        fs::remove_file(folder.join(images).join(list)).unwrap();
    }
}

/// Masks beside the images.
pub(crate) fn isaid_beside(folder: &Path) {
    isaid(folder);
    for (part, name) in [("train", "P0000"), ("train", "P0001"), ("val", "P0003")] {
        let mask = format!("{name}_instance_color_RGB.png");
        moved(folder, &format!("{part}/Semantic_masks/images/{mask}"), &format!("{part}/images/{mask}"));
        fs::copy(
            folder.join(format!("{part}/images/{mask}")),
            folder.join(format!("{part}/images/{name}_instance_id_RGB.png")),
        )
        .unwrap();
    }
    for part in ["train", "val"] {
        fs::remove_dir_all(folder.join(part).join("Semantic_masks")).unwrap();
    }
}

/// Each zip in a folder of its name.
pub(crate) fn isaid_unpacked(folder: &Path) {
    isaid(folder);
    for images in ["train/images", "train/Semantic_masks/images", "val/images", "val/Semantic_masks/images"] {
        moved(folder, images, "once");
        moved(folder, "once", &format!("{images}/images"));
    }
}

/// A table of images with their objects; the test has none.
pub(crate) fn dior_table(folder: &Path) {
    dior(folder);
    let mut table = "image_path,label_path,split\n".to_owned();
    for (part, name) in [("train", "00001"), ("val", "00002"), ("test", "11726")] {
        let inside = if part == "test" { "test" } else { "trainval" };
        let image = format!("Images/{inside}/{name}.jpg");
        moved(folder, &format!("JPEGImages-{inside}/{name}.jpg"), &image);
        let mut objects = String::new();
        if part != "test" {
            objects = format!("Annotations/trainval/{name}.xml");
            moved(folder, &format!("Annotations/Horizontal Bounding Boxes/{name}.xml"), &objects);
        }
        table += &format!("{image},{objects},{part}\n");
    }
    for gone in ["ImageSets", "Annotations/Horizontal Bounding Boxes", "Annotations/Oriented Bounding Boxes"] {
        fs::remove_dir_all(folder.join(gone)).unwrap();
    }
    text(&folder.join("sample_df.csv"), &table);
}

/// Lists of pairs under the names that torchgeo gives them.
pub(crate) fn bigearthnet_pairs(folder: &Path) {
    bigearthnet(folder);
    for (at, part) in ["train", "test"].into_iter().enumerate() {
        let patch = fs::read_to_string(folder.join(format!("{part}.csv"))).unwrap();
        let pair = format!("{},S1A_IW_GRDH_1SDV_2017081{at}T0000_x\n", patch.trim());
        text(&folder.join(format!("bigearthnet-{part}.csv")), &pair);
        fs::remove_file(folder.join(format!("{part}.csv"))).unwrap();
    }
}

/// The folders as the archive unpacks, and the tables beside them.
pub(crate) fn fmow_unpacked(folder: &Path) {
    fmow(folder);
    for part in ["train", "val", "test_gt"] {
        moved(folder, part, &format!("fmow-sentinel/{part}"));
    }
}

/// The archives of the authors, each unpacked in a folder of its name, and their lists: a dash in a folder of labels, dates with
/// dashes and underscores, one place without images of Planet, one without Sentinel-1.
pub(crate) fn dynamicearthnet_archives(folder: &Path) {
    let value = |band: usize, pixel: usize| 300 * (band as u16 + 1) + u16::from(noise(pixel as u32));
    let class = |band: usize, pixel: usize| if pixel % 7 == band { 255_u8 } else { 0 };
    let radar = |_: usize, pixel: usize| -12.0 + f32::from(noise(pixel as u32)) / 64.0;
    for (at, (part, cube, zone)) in
        [("train", "5111_4560_13", "38S"), ("val", "1417_3281_13", "11N"), ("test", "2459_4406_13", "19S")]
            .into_iter()
            .enumerate()
    {
        let (listed, apart) = (format!("{cube}_{zone}"), 100_000.0 * at as f64);
        let line = format!(
            "/reprocess-cropped/UTM-24000/{zone}/24E-204N/{cube}/PF-SR \
             /labels/{listed}/Labels/Raster/{listed}/{listed}-2018_01_01.tif 2018-01\n"
        );
        text(&folder.join(format!("dynnet_training_splits/{part}.txt")), &line);
        let (labels, date) = match part {
            "train" => (format!("labels/labels/{cube}-{zone}/Labels/Raster/{cube}-{zone}/{cube}-{zone}"), "2018-01-01"),
            "val" => (format!("labels/labels/{listed}/Labels/Raster/{listed}/{listed}"), "2018_01_01"),
            _ => (format!("dynamicearthnet_test_labels/{listed}/Labels/Raster/{listed}/{listed}"), "2018-01-01"),
        };
        placed(&folder.join(format!("{labels}-{date}.tif")), 128, 3.0, apart, 7, class);
        let images = match part {
            "train" => Some(format!("planet.{zone}/planet/{zone}/24E-204N/{cube}/PF-SR/2018-01-01.tif")),
            "val" => None,
            _ => Some(format!("planet/{zone}/24E-204N/{cube}/PF-SR/2018_01_01.tif")),
        };
        if let Some(path) = images {
            placed(&folder.join(path), 128, 3.0, apart, 4, value);
        }
        let optical = match part {
            "train" => format!("sentinel2/sentinel2/{cube}/{cube}_{zone}_2018_01.tif"),
            _ => format!("sentinel2/{listed}/2018-01-01.tif"),
        };
        placed(&folder.join(optical), 40, 10.0, apart, 12, value);
        if part != "test" {
            placed(&folder.join(format!("sentinel1/{listed}/2018-01-01.tif")), 40, 10.0, apart, 2, radar);
        }
    }
}

/// One table in place of the lists, with paths of all parts; one sample has no Sentinel-2.
pub(crate) fn dynamicearthnet_table(folder: &Path) {
    dynamicearthnet(folder);
    fs::remove_dir_all(folder.join("dynnet_training_splits")).unwrap();
    let mut table =
        "planet_path,label_path,s1_path,s2_path,year_month,split,missing_label,missing_s1,missing_s2\n".to_owned();
    for (at, part) in ["train", "val", "test"].into_iter().enumerate() {
        let place = format!("10N-{at}W-40N");
        let labels = format!("labels/{place}/Labels/Raster/{place}/{place}-2018_01_01.tif");
        let radar = format!("sentinel1/{place}/2018_01_03.tif");
        let mut optical = format!("sentinel2/{place}/other-name.tif");
        moved(folder, &format!("sentinel2/{place}/S2-2018-01-15.tif"), &optical);
        if part == "val" {
            fs::remove_file(folder.join(&optical)).unwrap();
            optical.clear();
        }
        let missing = if optical.is_empty() { "True" } else { "False" };
        table += &format!("planet/{place}/PF-SR,{labels},{radar},{optical},2018-01,{part},False,False,{missing}\n");
    }
    text(&folder.join("split_info/splits.csv"), &table);
}
