//! fMoW-Sentinel: Sentinel-2 L1C of the places of the Functional Map of the World, a class for each image.
//!
//! ```text
//! train.csv  val.csv  test_gt.csv      category, location_id, image_id, timestamp, polygon
//! train/airport/airport_0/airport_0_100.tif      13 bands, B1 to B12 with B8A
//! val/…  test_gt/…
//! fmow-sentinel/train/airport/…                  (the folders as the archive unpacks; the tables in it or beside it)
//! ```
//!
//! Source: Cong et al., SatMAE, NeurIPS 2022. Places are all over the Earth, so images are copied to places of their own.

use std::path::PathBuf;

use serde_json::json;

use super::bigearthnet::origin;
use crate::catalog::Catalog;
use crate::csv::Table;
use crate::error::{Result, content, io};
use crate::folder::Folder;
use crate::item::{File, Image, about, id};
use crate::labels::Source;
use crate::pixels::{copy, probe};
use crate::shelves::COARSE;

/// Bands of a file, in its order.
const FILE: usize = 13;
/// Those that the model knows.
const BANDS: [(usize, &str); 10] = [
    (2, "B02"),
    (3, "B03"),
    (4, "B04"),
    (5, "B05"),
    (6, "B06"),
    (7, "B07"),
    (8, "B08"),
    (9, "B8A"),
    (12, "B11"),
    (13, "B12"),
];

pub(crate) fn adopt(folder: &Folder, catalog: &mut Catalog<'_>) -> Result<()> {
    let images = folder.maybe("fmow-sentinel").unwrap_or_else(|| folder.clone());
    let mut tables = Vec::new();
    let mut classes: Vec<String> = Vec::new();
    for (part, name) in [("train", "train"), ("val", "val"), ("test", "test_gt")] {
        let path = table_of(folder, &images, &format!("{name}.csv"))?;
        let table = Table::parse(&std::fs::read_to_string(&path).map_err(io(&path))?, &path)?;
        let category = table.column("category", &path)?;
        classes.extend(table.rows.iter().map(|row| row[category].clone()));
        classes.sort();
        classes.dedup();
        tables.push((part, name, path, table));
    }
    if classes.len() > 254 {
        return Err(content(folder.path(), "62 categories", classes.len().to_string()));
    }
    catalog.sensor("fmow-s2", "sentinel-2-l1c");
    for (part, name, path, table) in tables {
        let inside = images.dir(name)?;
        let [category, place, image, time] =
            ["category", "location_id", "image_id", "timestamp"].map(|column| table.column(column, &path));
        let (category, place, image, time) = (category?, place?, image?, time?);
        for row in &table.rows {
            let (class, at) = (&row[category], format!("{}_{}", row[category], row[place]));
            let from = inside.dir(class)?.dir(&at)?.file(&format!("{at}_{}.tif", row[image]))?;
            let found = probe(&from)?;
            if found.bands != FILE {
                return Err(content(&from, format!("{FILE} bands"), found.bands.to_string()));
            }
            let id = id(&format!("{name}-{at}-{}", row[image]));
            let grid = catalog.place([found.width, found.height], COARSE)?;
            let to = catalog.beside("fmow-s2", &id, "image.tif")?;
            copy(&from, &to, &grid, &BANDS)?;
            let mut properties = about(Some(part), &["place"]);
            properties.insert("skysense:from".into(), origin(&found.geobox));
            let class = [classes.iter().position(|known| known == class).unwrap_or_default() as u8];
            let datetime = timestamp(&row[time]).ok_or_else(|| {
                content(&path, "a timestamp like 2015-07-25T08:45:13Z", format!("{:?} of {id}", row[time]))
            })?;
            let source = Source::Scene(&class);
            catalog.labels(("fmow-s2-labels", &id, &datetime), &source, (&classes, &grid), properties.clone())?;
            let bands = BANDS.map(|(_, band)| band.to_owned()).to_vec();
            let files = vec![File { key: "image".into(), path: to, bands, geobox: grid, scale: Some(1e-4) }];
            // Of before 2022: +1000 is not in the numbers.
            properties.insert("s2:processing_baseline".into(), json!("02.00"));
            catalog.image("fmow-s2", &Image { id, datetime, files, properties })?;
        }
    }
    Ok(())
}

/// A table, which is published beside the archive of the images.
fn table_of(folder: &Folder, images: &Folder, file: &str) -> Result<PathBuf> {
    let around = [Some(folder.clone()), Some(images.clone()), folder.parent()];
    let found = around.iter().flatten().find_map(|folder| folder.maybe_file(file));
    found.ok_or_else(|| content(folder.path(), format!("{file} in this folder or in the one above"), folder.shown()))
}

fn timestamp(text: &str) -> Option<String> {
    let plain = text.trim().trim_end_matches('Z').replace(' ', "T");
    let seconds = plain.split('.').next().unwrap_or_default();
    let good = seconds.len() == 19 && seconds.as_bytes()[4] == b'-' && seconds.as_bytes()[13] == b':';
    good.then(|| format!("{seconds}Z"))
}
