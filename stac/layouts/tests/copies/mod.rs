//! Made-up copies of the data sets: each a few images of noise in the folders and under the names of its layout. Files that are
//! JPEG or plain TIFF in the originals hold PNG here: readers go by what is in a file.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod variants;

use std::fs;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use skysense_grid::{Affine, Crs, GeoBox};
use skysense_raster::{BandSpec, CogSpec, CogWriter, Sample};

fn noise(at: u32) -> u8 {
    ((u64::from(at) ^ 0x5DEE_CE66).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn save(path: &Path, image: impl Into<DynamicImage>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save_with_format(path, ImageFormat::Png).unwrap();
}

/// An image of noise.
pub(crate) fn photo(path: &Path, width: u32, height: u32) {
    let pixel = |x: u32, y: u32| Rgb([noise(x * 7 + y), noise(x + y * 11 + 3), noise(x * 5 + y * 3 + 9)]);
    save(path, RgbImage::from_fn(width, height, pixel));
}

/// A mask of colours: the first in the left half, the others in stripes on the right.
pub(crate) fn colours(path: &Path, [width, height]: [u32; 2], of: &[[u8; 3]]) {
    let pixel = |x: u32, y: u32| Rgb(if x < width / 2 { of[0] } else { of[y as usize % of.len()] });
    save(path, RgbImage::from_fn(width, height, pixel));
}

/// A mask of two values, the second in the lower half.
pub(crate) fn halves(path: &Path, [width, height]: [u32; 2], [upper, lower]: [u8; 2]) {
    let pixel = |_, y| Luma([if y < height / 2 { upper } else { lower }]);
    save(path, GrayImage::from_fn(width, height, pixel));
}

pub(crate) fn text(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A raster that says where it lies: in UTM zone 33, each at a place of its own.
pub(crate) fn placed<T: Sample>(
    path: &Path,
    side: usize,
    metres: f64,
    place: f64,
    bands: usize,
    value: impl Fn(usize, usize) -> T,
) {
    let names: Vec<String> = (0..bands).map(|band| format!("b{band}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    named(path, (side, metres, place), &names, value);
}

/// A raster that says where it lies, of bands that are called so.
pub(crate) fn named<T: Sample>(
    path: &Path,
    (side, metres, place): (usize, f64, f64),
    bands: &[&str],
    value: impl Fn(usize, usize) -> T,
) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let transform = Affine::north_up(400_000.0 + place, 5_200_000.0 - place, metres);
    let grid = GeoBox::new(Crs::epsg(32633), transform, side, side).unwrap();
    let names = bands.iter().map(|band| BandSpec::named(*band)).collect();
    let mut writer = CogWriter::create(path, CogSpec::values(grid, T::DTYPE, names, None)).unwrap();
    let values: Vec<T> = (0..bands.len() * side * side).map(|at| value(at / side / side, at % (side * side))).collect();
    writer.write_rows(0, &values).unwrap();
    writer.finish().unwrap();
}

fn array(path: &Path, descr: &str, shape: &str, data: &[u8]) {
    let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(data);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn levir(folder: &Path) {
    for (part, count) in [("train", 2), ("val", 1), ("test", 1)] {
        for at in 1..=count {
            let name = format!("{part}_{at}.png");
            photo(&folder.join(part).join("A").join(&name), 1024, 1024);
            photo(&folder.join(part).join("B").join(&name), 1024, 1024);
            halves(&folder.join(part).join("label").join(&name), [1024, 1024], [0, 255]);
        }
    }
}

pub(crate) fn isaid(folder: &Path) {
    let colours_of = [[0, 0, 0], [0, 0, 63], [0, 100, 155]];
    for (part, name) in [("train", "P0000"), ("train", "P0001"), ("val", "P0003")] {
        photo(&folder.join(part).join("images").join(format!("{name}.png")), 600, 560);
        let mask = folder.join(part).join("Semantic_masks/images").join(format!("{name}_instance_color_RGB.png"));
        colours(&mask, [600, 560], &colours_of);
    }
    photo(&folder.join("test/images/P0006.png"), 520, 530);
}

pub(crate) fn potsdam(folder: &Path) {
    let classes = [[255, 255, 255], [0, 0, 255], [255, 0, 0]];
    for tile in ["2_10", "7_13"] {
        photo(&folder.join(format!("2_Ortho_RGB/top_potsdam_{tile}_RGB.tif")), 600, 600);
        colours(&folder.join(format!("5_Labels_all/top_potsdam_{tile}_label.tif")), [600, 600], &classes);
    }
}

fn voc(class: &str, inside: &str) -> String {
    format!("<annotation><size><width>800</width></size><object><name>{class}</name>{inside}</object></annotation>")
}

pub(crate) fn dior(folder: &Path) {
    for (part, name) in [("train", "00001"), ("val", "00002"), ("test", "11726")] {
        let images = if part == "test" { "JPEGImages-test" } else { "JPEGImages-trainval" };
        photo(&folder.join(images).join(format!("{name}.jpg")), 800, 800);
        let upright =
            "<difficult>0</difficult><bndbox><xmin>100</xmin><ymin>200</ymin><xmax>180</xmax><ymax>260</ymax></bndbox>";
        let path = folder.join("Annotations/Horizontal Bounding Boxes").join(format!("{name}.xml"));
        text(&path, &voc("ship", upright));
        let turned = "<robndbox><x_left_top>100</x_left_top><y_left_top>200</y_left_top><x_right_top>160</x_right_top>\
            <y_right_top>220</y_right_top><x_right_bottom>150</x_right_bottom><y_right_bottom>250</y_right_bottom>\
            <x_left_bottom>90</x_left_bottom><y_left_bottom>230</y_left_bottom></robndbox>";
        let path = folder.join("Annotations/Oriented Bounding Boxes").join(format!("{name}.xml"));
        text(&path, &voc("ship", turned));
        text(&folder.join("ImageSets/Main").join(format!("{part}.txt")), &format!("{name}\n"));
    }
}

pub(crate) fn fair1m(folder: &Path) {
    let points = "<points><point>100.0,200.0</point><point>160.0,220.0</point><point>150.0,250.0</point><point>90.0,230.0</point>\
        <point>100.0,200.0</point></points>";
    let inside =
        format!("<coordinate>pixel</coordinate><possibleresult><name>Dry Cargo Ship</name></possibleresult>{points}");
    let told = format!("<annotation><objects><object>{inside}</object></objects></annotation>");
    for (part, labels) in [("train/part1", "labelXml"), ("train/part2", "labelXml"), ("validation", "labelXmls")] {
        photo(&folder.join(part).join("images/0.tif"), 600, 600);
        text(&folder.join(part).join(labels).join("0.xml"), &told);
    }
    photo(&folder.join("test/images/0.tif"), 600, 600);
}

pub(crate) fn scenes(folder: &Path, classes: usize, side: u32) {
    for class in 0..classes {
        for at in 1..=2 {
            photo(&folder.join(format!("Class{class:02}")).join(format!("class{class:02}_{at}.jpg")), side, side);
        }
    }
}

pub(crate) fn oscd(folder: &Path) {
    let name = "Onera Satellite Change Detection dataset";
    let images = folder.join(format!("{name} - Images"));
    for (part, labels, town) in [("train", "Train", "aguasclaras"), ("test", "Test", "brasilia")] {
        text(&images.join(format!("{part}.txt")), town);
        text(&images.join(town).join("dates.txt"), "date_1: 20160120\ndate_2: 20180328\n");
        for taken in ["imgs_1_rect", "imgs_2_rect"] {
            for band in ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"] {
                let path = images.join(town).join(taken).join(format!("{band}.tif"));
                let pixel = |x: u32, y: u32| Luma([1000 + 7 * u16::from(noise(x + 40 * y))]);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let image: image::ImageBuffer<Luma<u16>, Vec<u16>> = image::ImageBuffer::from_fn(48, 40, pixel);
                DynamicImage::from(image).save_with_format(&path, ImageFormat::Png).unwrap();
            }
        }
        let truth = folder.join(format!("{name} - {labels} Labels")).join(town).join(format!("cm/{town}-cm.tif"));
        halves(&truth, [48, 40], [1, 2]);
    }
}

const S2_BANDS: [(&str, usize); 10] = [
    ("B02", 120),
    ("B03", 120),
    ("B04", 120),
    ("B05", 60),
    ("B06", 60),
    ("B07", 60),
    ("B08", 120),
    ("B8A", 60),
    ("B11", 60),
    ("B12", 60),
];

pub(crate) fn bigearthnet(folder: &Path) {
    let patches =
        [("S2A_MSIL2A_20170818T112111_42_53", "train", 0.0), ("S2B_MSIL2A_20170924T93020_1_2", "test", 50_000.0)];
    for (at, (patch, part, place)) in patches.into_iter().enumerate() {
        let inside = folder.join("BigEarthNet-v1.0").join(patch);
        for (band, side) in S2_BANDS {
            let value = |_: usize, pixel: usize| 500 + 9 * u16::from(noise(pixel as u32));
            placed(&inside.join(format!("{patch}_{band}.tif")), side, 1200.0 / side as f64, place, 1, value);
        }
        let labels = r#"["Pastures", "Rice fields", "Airports", "Water bodies"]"#;
        let about = format!(r#"{{"labels": {labels}, "acquisition_date": "2017-08-18 11:21:11"}}"#);
        text(&inside.join(format!("{patch}_labels_metadata.json")), &about);
        let radar = format!("S1A_IW_GRDH_1SDV_2017081{at}T0000_x");
        let inside = folder.join("BigEarthNet-S1-v1.0").join(&radar);
        for band in ["VV", "VH"] {
            let value = |_: usize, pixel: usize| -12.0 + f32::from(noise(pixel as u32)) / 64.0;
            placed(&inside.join(format!("{radar}_{band}.tif")), 120, 10.0, place, 1, value);
        }
        let about = format!(
            r#"{{"labels": {labels}, "corresponding_s2_patch": "{patch}", "acquisition_time": "2017-08-17T05:00:00"}}"#
        );
        text(&inside.join(format!("{radar}_labels_metadata.json")), &about);
        text(&folder.join(format!("{part}.csv")), &format!("{patch}\n"));
    }
}

pub(crate) fn fmow(folder: &Path) {
    for (at, (name, class)) in [("train", "airport"), ("val", "barn"), ("test_gt", "airport")].into_iter().enumerate() {
        let row = format!(
            "category,location_id,image_id,timestamp,polygon\n{class},{at},100,2016-03-0{}T10:00:00Z,\"POLYGON ((1 2, 3 4))\"\n",
            at + 1
        );
        text(&folder.join(format!("{name}.csv")), &row);
        let path = folder.join(name).join(class).join(format!("{class}_{at}")).join(format!("{class}_{at}_100.tif"));
        placed(&path, 50, 10.0, 90_000.0 * at as f64, 13, |band, pixel| {
            1000 + 100 * band as u16 + 5 * u16::from(noise(pixel as u32))
        });
    }
}

pub(crate) fn pastis(folder: &Path) {
    const AREA: usize = 128 * 128;
    let dates = r#"{"0": 20180917, "1": 20181012, "10": 20190601, "2": 20181122}"#;
    let mut features = Vec::new();
    for (id, fold) in [(10000, 1), (10001, 5)] {
        let radar = r#"{"0": 20180902}"#;
        features.push(format!(
            r#"{{"type": "Feature", "properties": {{"ID_PATCH": {id}, "Fold": {fold}, "dates-S2": {dates}, "dates-S1A": {radar}}}}}"#
        ));
        let optical: Vec<u8> = (0..4 * 10 * AREA)
            .flat_map(|at| (500 + (at / AREA) as i16 + i16::from(noise(at as u32))).to_le_bytes())
            .collect();
        array(&folder.join(format!("DATA_S2/S2_{id}.npy")), "<i2", "(4, 10, 128, 128)", &optical);
        // -10, -11 and -12 in 16 bits, as the set has them.
        let half = [0xC900_u16, 0xC980, 0xCA00];
        let radar: Vec<u8> = (0..3 * AREA).flat_map(|at| half[at / AREA].to_le_bytes()).collect();
        array(&folder.join(format!("DATA_S1A/S1A_{id}.npy")), "<f2", "(1, 3, 128, 128)", &radar);
        let target: Vec<u8> = (0..3 * AREA).map(|at| if at < AREA { (at % 20) as u8 } else { 99 }).collect();
        array(&folder.join(format!("ANNOTATIONS/TARGET_{id}.npy")), "|u1", "(3, 128, 128)", &target);
    }
    text(
        &folder.join("metadata.geojson"),
        &format!(r#"{{"type": "FeatureCollection", "features": [{}]}}"#, features.join(", ")),
    );
}

pub(crate) fn dynamicearthnet(folder: &Path) {
    for (at, part) in ["train", "val", "test"].into_iter().enumerate() {
        let place = format!("10N-{at}W-40N");
        let images = format!("planet/{place}/PF-SR");
        let labels = format!("labels/{place}/Labels/Raster/{place}/{place}-2018_01_01.tif");
        text(&folder.join(format!("dynnet_training_splits/{part}.txt")), &format!("/{images} /{labels} 2018-01\n"));
        let apart = 100_000.0 * at as f64;
        let value = |band: usize, pixel: usize| 300 * (band as u16 + 1) + u16::from(noise(pixel as u32));
        placed(&folder.join(&images).join("2018-01-01.tif"), 128, 3.0, apart, 4, value);
        let class = |band: usize, pixel: usize| if pixel % 7 == band { 255_u8 } else { 0 };
        placed(&folder.join(&labels), 128, 3.0, apart, 7, class);
        placed(&folder.join(format!("sentinel2/{place}/S2-2018-01-15.tif")), 40, 10.0, apart, 12, value);
        let radar = |_: usize, pixel: usize| -12.0 + f32::from(noise(pixel as u32)) / 64.0;
        placed(&folder.join(format!("sentinel1/{place}/2018_01_03.tif")), 40, 10.0, apart, 2, radar);
    }
}

/// The copy of a layout by its name.
pub(crate) fn copy(layout: &str, folder: &Path) {
    match layout {
        "dynamicearthnet-planet" | "dynamicearthnet-s2" | "dynamicearthnet-mm" => dynamicearthnet(folder),
        "isaid" => isaid(folder),
        "potsdam" => potsdam(folder),
        "dior" | "dior-r" => dior(folder),
        "fair1m" => fair1m(folder),
        "levir-cd" => levir(folder),
        "oscd" => oscd(folder),
        "aid" => scenes(folder, 30, 600),
        "resisc45" => scenes(folder, 45, 256),
        "bigearthnet-s2" | "bigearthnet-mm" => bigearthnet(folder),
        "fmow-s2" => fmow(folder),
        "pastis" => pastis(folder),
        other => panic!("no copy is made of {other}: add one"),
    }
}
