//! What tests read of the catalogs of made-up copies.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use skysense_grid::GeoBox;
use skysense_layouts::{Adopted, adopt};
use skysense_raster::{Resampling, Source, header, read};

/// The catalog of a copy, in the folder that holds both.
pub(crate) fn adopted(layout: &str) -> (tempfile::TempDir, Adopted) {
    adopted_of(layout, |data| crate::copies::copy(layout, data))
}

/// The catalog of what `make` puts into a folder.
pub(crate) fn adopted_of(layout: &str, make: impl FnOnce(&Path)) -> (tempfile::TempDir, Adopted) {
    let folder = tempfile::tempdir().unwrap();
    make(&folder.path().join("data"));
    let found = adopt(layout, &folder.path().join("data"), &folder.path().join("catalog"), &mut |_| true);
    let found = found.unwrap_or_else(|error| panic!("{layout}: {error}"));
    (folder, found)
}

/// What is told of a folder that is not as the layout says.
pub(crate) fn refused(layout: &str, make: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("catalog"));
    make(&data);
    let error = adopt(layout, &data, &out, &mut |_| true).unwrap_err();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"], "{layout}: nothing is left");
    error.to_string()
}

pub(crate) fn item(found: &Adopted, collection: &str, id: &str) -> Value {
    let path = found.catalog.with_file_name(collection).join(id).join(format!("{id}.json"));
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

pub(crate) fn claimed(asset: &Value) -> GeoBox {
    let transform: [f64; 6] = serde_json::from_value(asset["proj:transform"].clone()).unwrap();
    let [height, width]: [usize; 2] = serde_json::from_value(asset["proj:shape"].clone()).unwrap();
    let crs = skysense_grid::Crs::new(asset["proj:code"].as_str().unwrap());
    GeoBox::new(crs, transform.into(), width, height).unwrap()
}

/// Pixels of an asset as a reader of the catalog sees them.
pub(crate) fn pixels(found: &Adopted, collection: &str, id: &str, asset: &str, band: usize) -> (GeoBox, Vec<f32>) {
    let item = item(found, collection, id);
    let asset = &item["assets"][asset];
    let href = asset["href"].as_str().unwrap();
    let path = match href.strip_prefix("./") {
        Some(beside) => found.catalog.with_file_name(collection).join(id).join(beside),
        None => Path::new(href).to_owned(),
    };
    let source = Source::new(id, path.display().to_string()).with_band(band).with_claimed(Some(claimed(asset)));
    let header = header(&source).unwrap();
    let grid = header.geobox().unwrap().clone();
    assert_eq!(grid, claimed(asset), "{id}: what the item claims is what is read");
    let values = read(&source, &header, &grid, Resampling::Nearest).unwrap().values;
    (grid, values)
}

/// How often each class is there.
pub(crate) fn counted(values: &[f32]) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    values.iter().for_each(|value| *counts.entry(*value as u8).or_insert(0) += 1);
    counts
}
