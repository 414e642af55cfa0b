//! Scenes as their users find them: files, catalog and pixels.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skysense_grid::GeoBox;
use skysense_raster::{Pixels, Resampling, Source, header, read};
use skysense_simulate::{CLASSES, SceneReport, SceneSpec, SimulateError, simulate};
use tempfile::TempDir;

/// A scene in a folder of its own.
struct Scene {
    folder: TempDir,
    report: SceneReport,
}

impl Scene {
    fn new(spec: &SceneSpec) -> Self {
        let folder = TempDir::new().unwrap();
        let report = simulate(spec, folder.path().join("scene")).unwrap();
        Self { folder, report }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("scene")
    }

    fn items(&self, collection: &str) -> Vec<(PathBuf, Value)> {
        let read = |href: &String| {
            let path = self.root().join(href);
            let value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            (path, value)
        };
        self.report.items[collection].iter().map(read).collect()
    }

    fn labels(&self) -> Vec<u8> {
        let (path, item) = self.items("labels").remove(0);
        pixels(&path, &item, "labels", &self.report.grid).values.into_iter().map(|value| value as u8).collect()
    }
}

fn open(item_path: &Path, item: &Value, asset: &str) -> Source {
    let href = item["assets"][asset]["href"].as_str().unwrap();
    Source::new(asset, item_path.with_file_name(href.trim_start_matches("./")).display().to_string())
}

fn pixels(item_path: &Path, item: &Value, asset: &str, grid: &GeoBox) -> Pixels {
    let source = open(item_path, item, asset);
    read(&source, &header(&source).unwrap(), grid, Resampling::Nearest).unwrap()
}

/// Reflectance of a band on the scene's grid, scale and offset applied as the item declares them.
fn reflectance(item_path: &Path, item: &Value, asset: &str, grid: &GeoBox) -> Vec<f32> {
    let number = |name: &str| item["assets"][asset][name].as_f64().unwrap() as f32;
    pixels(item_path, item, asset, grid)
        .values
        .iter()
        .map(|dn| dn * number("raster:scale") + number("raster:offset"))
        .collect()
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Items that the links of a catalog or collection lead to.
fn reached(catalog: &Path) -> usize {
    let value: Value = serde_json::from_str(&std::fs::read_to_string(catalog).unwrap()).unwrap();
    let target = |link: &Value| catalog.parent().unwrap().join(link["href"].as_str().unwrap());
    let links = value["links"].as_array().unwrap().iter();
    links
        .map(|link| match link["rel"].as_str().unwrap() {
            "child" => reached(&target(link)),
            "item" => usize::from(target(link).is_file()),
            _ => 0,
        })
        .sum()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let spec = SceneSpec { size: 65, dates: 2, radar_dates: 1, hr: 8, ..SceneSpec::default() };
    let (one, two) = (Scene::new(&spec), Scene::new(&spec));
    assert_eq!(files(&one.root()), files(&two.root()));
    let other = Scene::new(&SceneSpec { seed: 2, ..spec });
    assert_ne!(one.labels(), other.labels());
}

#[test]
fn the_catalog_leads_to_every_item_and_the_items_tell_the_truth() {
    let scene = Scene::new(&SceneSpec {
        size: 90,
        dates: 2,
        radar_dates: 2,
        hr: 4,
        zones: 2,
        granules: 2,
        ..SceneSpec::default()
    });
    // Two dates of two granules in two zones, two radar dates, an orthophoto, labels.
    assert_eq!(reached(Path::new(&scene.report.catalog)), 8 + 2 + 1 + 1);
    assert_eq!(scene.report.items.values().map(Vec::len).sum::<usize>(), 12);
    let mut zones = BTreeMap::<String, usize>::new();
    for collection in scene.report.items.keys() {
        for (path, item) in scene.items(collection) {
            assert_eq!(item["stac_version"], "1.1.0");
            assert_eq!(item["collection"], *collection);
            for link in item["links"].as_array().unwrap() {
                let target = path.parent().unwrap().join(link["href"].as_str().unwrap());
                assert!(target.is_file(), "{}", target.display());
            }
            let code = item["properties"]["proj:code"].as_str().unwrap();
            *zones.entry(code.into()).or_default() += 1;
            for (key, asset) in item["assets"].as_object().unwrap() {
                let header = header(&open(&path, &item, key)).unwrap();
                let grid = header.geobox().unwrap();
                let claimed = |name: &str| asset.get(name).unwrap_or(&item["properties"][name]).clone();
                assert_eq!(grid.crs.as_str(), code);
                assert_eq!(claimed("proj:shape"), serde_json::json!([grid.height, grid.width]), "{key}");
                assert_eq!(
                    serde_json::from_value::<[f64; 6]>(claimed("proj:transform")).unwrap(),
                    <[f64; 6]>::from(grid.transform)
                );
                assert_eq!(asset.get("nodata").and_then(Value::as_f64), header.nodata, "{key}");
                assert_eq!(asset["data_type"], header.dtype.to_string());
                assert_eq!(asset["bands"].as_array().unwrap().len(), header.bands);
            }
        }
    }
    assert_eq!(zones.keys().collect::<Vec<_>>(), ["EPSG:32632", "EPSG:32633"]);
    let classes = &scene.items("labels")[0].1["assets"]["labels"]["classification:classes"];
    assert_eq!(classes.as_array().unwrap().len(), CLASSES.len());
    assert_eq!(classes[0]["color_hint"], "2B6CB0");
}

#[test]
fn outlines_of_objects_lie_where_the_image_shows_them() {
    let spec = SceneSpec { size: 64, dates: 1, radar_dates: 0, hr: 24, objects: 6, ..SceneSpec::default() };
    let scene = Scene::new(&spec);
    let (path, item) = scene.items("objects").remove(0);
    let file =
        |asset: &str| path.with_file_name(item["assets"][asset]["href"].as_str().unwrap().trim_start_matches("./"));
    let grid = scene.report.hr_grid.clone().unwrap();
    let outlines = skysense_raster::outlines(&file("objects"), Some("class"), &grid.crs).unwrap();
    let coco: Value = serde_json::from_str(&std::fs::read_to_string(file("coco")).unwrap()).unwrap();
    let dota = std::fs::read_to_string(file("dota")).unwrap();
    assert_eq!((outlines.len(), coco["annotations"].as_array().unwrap().len(), dota.lines().count()), (6, 6, 8));
    let (image, about) = scene.items("aerial-rgb").remove(0);
    let band = |band: usize| {
        let source = open(&image, &about, "image").with_band(band);
        read(&source, &header(&source).unwrap(), &grid, Resampling::Nearest).unwrap().values
    };
    let (red, blue) = (band(1), band(3));
    let inverse = grid.transform.inverse().unwrap();
    for (at, outline) in outlines.iter().enumerate() {
        // A little off the middle, where no ridge lies.
        let corner = outline.ring[0];
        let far = outline.ring[2];
        let place = [0, 1].map(|axis: usize| 0.45 * corner[axis] + 0.55 * far[axis]);
        let (column, row) = inverse.apply(place[0], place[1]);
        let pixel = row as usize * grid.width + column as usize;
        match outline.value.as_deref().unwrap() {
            "greenhouse" => assert!(red[pixel] > 165.0, "object {at}: {}", red[pixel]),
            "hall" => assert!(blue[pixel] - red[pixel] > 50.0, "object {at}: {} {}", red[pixel], blue[pixel]),
            other => panic!("{other}"),
        }
        let bbox: Vec<f64> = serde_json::from_value(coco["annotations"][at]["bbox"].clone()).unwrap();
        assert!(column > bbox[0] && column < bbox[0] + bbox[2] && row > bbox[1] && row < bbox[1] + bbox[3]);
        // The outline in degrees comes back to the pixels of the other layouts.
        let words: Vec<f64> =
            dota.lines().nth(at + 2).unwrap().split(' ').filter_map(|word| word.parse().ok()).collect();
        let (x, y) = inverse.apply(corner[0], corner[1]);
        assert!((words[0] - x).abs() < 0.02 && (words[1] - y).abs() < 0.02, "{words:?} against {x}, {y}");
    }
    assert_eq!(files(&scene.root()), files(&Scene::new(&spec).root()));
}

#[test]
fn a_scene_on_the_antimeridian_is_cut_there() {
    let spec = SceneSpec {
        size: 64,
        dates: 1,
        radar_dates: 1,
        hr: 32,
        granules: 2,
        center: [179.999, 10.0],
        ..SceneSpec::default()
    };
    let scene = Scene::new(&spec);
    let crosses = |bbox: &[f64; 4]| bbox[0] > 179.9 && bbox[2] < -179.9;
    assert!(crosses(&scene.report.bbox) && crosses(&scene.report.hr_bbox.unwrap()), "{:?}", scene.report);
    let whole = |collection: &str| scene.items(collection).remove(0).1;
    for item in ["sentinel-1-rtc", "aerial-rgb", "labels"].map(whole) {
        let bbox: [f64; 4] = serde_json::from_value(item["bbox"].clone()).unwrap();
        assert!(crosses(&bbox), "{bbox:?}");
        assert_eq!(item["geometry"]["type"], "MultiPolygon");
        let parts = item["geometry"]["coordinates"].as_array().unwrap();
        assert_eq!(parts.len(), 2);
        for point in parts.iter().flat_map(|part| part[0].as_array().unwrap()) {
            assert!((179.9..=180.0).contains(&point[0].as_f64().unwrap().abs()), "{point}");
        }
    }
    // The granules lie on either side or across; together they are as wide as the scene and not as the globe.
    for collection in ["sentinel-2-l2a", "labels"] {
        let path = scene.root().join(collection).join("collection.json");
        let value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let bbox: [f64; 4] = serde_json::from_value(value["extent"]["spatial"]["bbox"][0].clone()).unwrap();
        assert!(crosses(&bbox), "{collection}: {bbox:?}");
    }
}

#[test]
fn both_sides_of_the_baseline_mean_the_same_reflectance() {
    let scene = Scene::new(&SceneSpec { size: 128, dates: 4, radar_dates: 0, cloud: 0.0, ..SceneSpec::default() });
    let labels = scene.labels();
    let mut seen = Vec::new();
    for (path, item) in scene.items("sentinel-2-l2a") {
        let of_conifers = |values: Vec<f32>| {
            median(values.into_iter().zip(&labels).filter(|(_, label)| **label == 3).map(|(value, _)| value).collect())
        };
        let numbers = of_conifers(pixels(&path, &item, "B04", &scene.report.grid).values);
        let meant = of_conifers(reflectance(&path, &item, "B04", &scene.report.grid));
        seen.push((item["properties"]["s2:processing_baseline"].as_str().unwrap().to_owned(), numbers, meant));
    }
    assert_eq!(
        seen.iter().map(|(baseline, ..)| baseline.as_str()).collect::<Vec<_>>(),
        ["03.01", "05.00", "03.01", "05.00"]
    );
    for (baseline, numbers, meant) in seen {
        assert!((0.01..0.05).contains(&meant), "{baseline}: {meant}");
        assert_eq!(numbers > 1000.0, baseline == "05.00", "{baseline}: {numbers}");
    }
}

#[test]
fn the_scene_classification_tells_what_the_pixels_show() {
    let scene = Scene::new(&SceneSpec { size: 160, dates: 4, radar_dates: 0, cloud: 0.4, ..SceneSpec::default() });
    let (mut thick, mut dark) = (0, 0);
    for (index, (path, item)) in scene.items("sentinel-2-l2a").into_iter().enumerate() {
        let scl = pixels(&path, &item, "SCL", &scene.report.grid).values;
        let (blue, infrared) = (
            reflectance(&path, &item, "B02", &scene.report.grid),
            reflectance(&path, &item, "B08", &scene.report.grid),
        );
        let of = |codes: &[f32], band: &[f32]| -> Vec<f32> {
            band.iter().zip(&scl).filter(|(_, code)| codes.contains(code)).map(|(value, _)| *value).collect()
        };
        let clear = of(&[4.0, 5.0], &infrared);
        // Nothing that is called clear is as bright as a cloud; roofs are the brightest.
        assert!(of(&[4.0, 5.0, 6.0], &blue).into_iter().all(|value| value < 0.33), "date {index}");
        let clouds = of(&[9.0], &blue);
        thick += clouds.len();
        assert!(
            clouds.iter().filter(|value| **value > 0.3).count() as f64 >= 0.97 * clouds.len() as f64,
            "date {index}"
        );
        let shadows = of(&[3.0], &infrared);
        if shadows.len() > 200 && clear.len() > 200 {
            dark += 1;
            assert!(median(shadows) < 0.8 * median(clear), "date {index}");
        }
        let covered = scl.iter().filter(|code| (8.0..=10.0).contains(*code)).count() as f64 / scl.len() as f64;
        let declared = item["properties"]["eo:cloud_cover"].as_f64().unwrap();
        assert!((100.0 * covered - declared).abs() < 0.5, "date {index}: {covered} {declared}");
    }
    assert!(thick > 1000 && dark > 0, "{thick} {dark}");
}

/// Mean vectors learned on one half of the pixels give the class of most of the others; of a single date they do not
/// do as well: there is something to learn from a series.
#[test]
fn classes_can_be_told_apart_by_their_year() {
    let scene = Scene::new(&SceneSpec { size: 256, dates: 6, radar_dates: 0, cloud: 0.0, ..SceneSpec::default() });
    let labels = scene.labels();
    let mut stack: Vec<Vec<f32>> = vec![Vec::new(); labels.len()];
    for (path, item) in scene.items("sentinel-2-l2a") {
        for band in ["B03", "B04", "B08", "B11"] {
            let values = reflectance(&path, &item, band, &scene.report.grid);
            stack.iter_mut().zip(values).for_each(|(vector, value)| vector.push(value));
        }
    }
    let whole = separability(&stack, &labels, 0..24);
    let single = separability(&stack, &labels, 8..12);
    assert!(whole > 0.7 && whole < 0.995 && whole > single + 0.1, "{whole} {single}");
}

fn separability(stack: &[Vec<f32>], labels: &[u8], part: std::ops::Range<usize>) -> f64 {
    let mut sums = vec![(0.0f32, vec![0.0f32; part.len()]); 11];
    for (vector, &label) in stack.iter().zip(labels).step_by(2) {
        let (count, sum) = &mut sums[usize::from(label)];
        *count += 1.0;
        sum.iter_mut().zip(&vector[part.clone()]).for_each(|(sum, value)| *sum += value);
    }
    let class = |vector: &[f32]| {
        let distance = |(count, sum): &(f32, Vec<f32>)| {
            sum.iter().zip(vector).map(|(sum, value)| (sum / count - value).powi(2)).sum::<f32>()
        };
        (1..11).min_by(|&a, &b| distance(&sums[a]).total_cmp(&distance(&sums[b]))).unwrap() as u8
    };
    let others: Vec<bool> = stack
        .iter()
        .zip(labels)
        .skip(1)
        .step_by(2)
        .map(|(vector, &label)| class(&vector[part.clone()]) == label)
        .collect();
    others.iter().filter(|right| **right).count() as f64 / others.len() as f64
}

#[test]
fn granules_of_both_zones_show_the_same_ground() {
    let scene =
        Scene::new(&SceneSpec { size: 200, dates: 1, radar_dates: 0, cloud: 0.0, zones: 2, ..SceneSpec::default() });
    let mut bands = Vec::new();
    for (path, item) in scene.items("sentinel-2-l2a") {
        let source = open(&path, &item, "B08");
        bands.push(read(&source, &header(&source).unwrap(), &scene.report.grid, Resampling::Bilinear).unwrap());
    }
    let both: Vec<f32> = (0..bands[0].values.len())
        .filter(|&pixel| bands.iter().all(|band| band.valid[pixel] != 0))
        .map(|pixel| (bands[0].values[pixel] - bands[1].values[pixel]).abs() / bands[0].values[pixel])
        .collect();
    // The overlap is a tenth of the scene; half of its pixels agree within their noise after a warp.
    assert!(both.len() > 3_000, "{}", both.len());
    assert!(median(both) < 0.03);
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let spec = SceneSpec { size: 64, dates: 1, radar_dates: 0, replace: true, ..SceneSpec::default() };
    assert!(matches!(simulate(&spec, folder.path()), Err(SimulateError::Exists(_))));
    assert_eq!(files(folder.path()).len(), 1);
    let scene = folder.path().join("scene");
    simulate(&spec, &scene).unwrap();
    assert!(matches!(simulate(&SceneSpec { replace: false, ..spec.clone() }, &scene), Err(SimulateError::Exists(_))));
    simulate(&SceneSpec { seed: 9, ..spec }, &scene).unwrap();
    // No half-written folder stays beside it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
